"""Killed at any moment, the command loses nothing and doubles nothing: the next run makes the tables right.

`TOLOKA_KILLS=500` kills at so many random moments, of which an ordinary test run has 60.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from tests.conftest import NOON, expected_rows
from toloka_source import ENDPOINTS, schemas
from toloka_source.emulator import Account, Clock, Emulator

SERVER = Path(__file__).with_name("killed.py")
SCRIPT = Path(__file__).parents[1] / "pipelines" / "toloka_pipeline.py"
MOMENTS = range(int(os.environ.get("TOLOKA_KILLS", "60")))
KILLED = -9

PIPELINE = "dlt.pipeline.pipeline:Pipeline"
EXTRACT = "dlt.extract.extract:Extract"
EXTRACTED = "dlt.extract.storage:ExtractStorage"
NORMALIZE = "dlt.normalize.normalize:Normalize"
STORAGE = "dlt.common.storages.load_storage:LoadStorage"
PACKAGES = "dlt.common.storages.load_package:PackageStorage"
LOAD = "dlt.load.load:Load"
JOB = "dlt.common.destination.client:RunnableLoadJob"
CLIENT = "dlt.destinations.impl.duckdb.duck:DuckDbClient"
SQL = "dlt.destinations.impl.duckdb.sql_client:DuckDbSqlClient"

EXTRACTING = [
    "before 1 toloka_source.client:Client.get_page",
    "after 1 toloka_source.client:Client.get_page",
    "after 2 toloka_source.client:Client.get_page",
    f"before 1 {EXTRACTED}.commit_new_load_package",
    f"before 1 {EXTRACT}.commit_packages",
    f"after 1 {EXTRACT}.commit_packages",
    f"after 1 {PIPELINE}.extract",
]
NORMALIZING = [
    "before 1 dlt.normalize.normalize:w_normalize_files",
    "after 1 dlt.normalize.normalize:w_normalize_files",
    f"before 1 {STORAGE}.commit_new_load_package",
    f"after 1 {STORAGE}.commit_new_load_package",  # one load id is in both folders
    f"after 1 {NORMALIZE}.spool_schema_files",
    f"after 1 {PIPELINE}.normalize",
]
LOADING = [
    f"before 1 {LOAD}.initialize_package",
    f"after 1 {LOAD}.initialize_package",
    *(f"{when} {number} {JOB}.run_managed" for number in range(1, 6) for when in ("before", "after")),
    *(f"after {number} {LOAD}.create_followup_jobs" for number in (1, 3)),
    *(f"{when} {number} {PACKAGES}.complete_job" for number in (1, 5) for when in ("before", "after")),
    *(f"before {number} {PACKAGES}.save_pending_transition" for number in (1, 4)),
    f"before 1 {SQL}.commit_transaction",
    f"after 1 {SQL}.commit_transaction",
    f"before 2 {SQL}.commit_transaction",
    f"after 2 {SQL}.commit_transaction",
]
COMPLETING = [
    f"before 1 {LOAD}.complete_package",
    f"before 1 {CLIENT}.complete_load",
    f"after 1 {CLIENT}.complete_load",
    f"before 1 {STORAGE}.complete_load_package",
    f"after 1 {STORAGE}.complete_load_package",
    f"after 1 {LOAD}.complete_package",
    f"after 1 {PIPELINE}.run",
    "after 1 toloka_source.load:_load",
]
STAGES = [*EXTRACTING, *NORMALIZING, *LOADING, *COMPLETING]

FIRST_STAGES = [
    *EXTRACTING[5:],
    *NORMALIZING[3:],
    f"after 1 {LOAD}.initialize_package",
    *(f"{when} {number} {JOB}.run_managed" for number in (1, 3) for when in ("before", "after")),
    *COMPLETING[1::2],
]
"""The same of a first run, which has fewer jobs: it merges with nothing."""

BOTH_FOLDERS = f"after 1 {STORAGE}.commit_new_load_package"
NORMALIZED = f"after 1 {PIPELINE}.normalize"
EMPTIED = f"{PIPELINE}._wipe_working_folder"
HALVES = ["schemas/*", "load/normalized/*/*_jobs/*.parquet", "normalize,load/normalized/*/*_jobs/*.parquet", "[!s]*"]
HEALING = [
    *((left, f"{when} 1 {EMPTIED}") for left in (BOTH_FOLDERS, NORMALIZED) for when in ("before", *HALVES, "after")),
    *((left, f"after 1 {PIPELINE}.drop") for left in (BOTH_FOLDERS, NORMALIZED)),
    *((NORMALIZED, stage) for stage in (f"after 2 {JOB}.run_managed", f"before 1 {STORAGE}.complete_load_package")),
]
"""What a first killed run left, and where the run that heals it is killed."""


class Runs:
    """An account, and the command that loads it into one folder, in a process for each run."""

    def __init__(self, api: Emulator, home: Path, server: "subprocess.Popen[str]") -> None:
        """Begin with an empty folder."""
        self.api = api
        self.home = home
        self.folder = home / "run"
        self.folder.mkdir()
        self._server = server

    def run(self, stage: str | None = None, seconds: float | None = None) -> dict[str, Any]:
        """Run the command, killed at a stage or after some seconds if it comes to that; return code and seconds."""
        assert self._server.stdin
        assert self._server.stdout
        order = {"folder": str(self.folder), "stage": stage, "seconds": seconds}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def change(self) -> None:
        """Let two hours pass in the account."""
        account, clock = self.api.account, self.api.account.clock
        clock.advance(hours=1)
        for _ in range(3):
            project = account.create_project()
            account.create_training(project["id"])
        for training in [item for item in account.trainings if item["status"] == "CLOSED"][:3]:
            account.start_training(training["id"])
        clock.advance(hours=1)

    def keep(self) -> None:
        """Keep the folder as it is, for `restore`."""
        shutil.copytree(self.folder, self.home / "kept")

    def restore(self, *, is_empty: bool = False) -> None:
        """Make the folder what it was, or empty."""
        shutil.rmtree(self.folder)
        if is_empty:
            self.folder.mkdir()
        else:
            shutil.copytree(self.home / "kept", self.folder)

    def assert_right(self) -> None:
        """Run once more; then the tables equal the account, and nothing is left to load."""
        answer = self.run()
        assert answer["code"] == 0, (self.folder / "output.txt").read_text()
        account = self.api.account
        with duckdb.connect(str(self.folder / "toloka.duckdb"), read_only=True) as connection:
            for name, objects in (("projects", account.projects), ("trainings", account.trainings)):
                assert rows(connection, name) == expected_rows(objects, ENDPOINTS[name].schema)
        for left in ("normalize/extracted", "load/normalized"):
            assert [*(self.folder / "dlt" / "pipelines" / "toloka" / left).glob("*")] == []


def rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    """Return a table in the order of ids as numbers, JSON parsed."""
    parsed = {field.name for field in ENDPOINTS[table].schema if schemas.is_json(field)}
    connection.execute(f"SELECT * EXCLUDE _dlt_load_id FROM toloka_data.{table} ORDER BY length(id), id")  # noqa: S608
    names = [column[0] for column in connection.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in connection.fetchall()]
    return [
        {name: json.loads(value) if name in parsed and value else value for name, value in row.items()} for row in found
    ]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Return a folder, in memory where the system has one there: half of the time would go into waiting for disks."""
    memory = Path("/dev/shm")  # noqa: S108 - only a place
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def runs(home: Path) -> Iterator[Runs]:
    """Return an account whose first half was loaded, and is kept."""
    clock = Clock(NOON)
    with Emulator(Account.lifelike(projects=20, trainings=15, clock=clock)) as api:
        inherited = {name: value for name, value in os.environ.items() if "__" not in name}
        configured = {
            "SOURCES__TOLOKA__TOKEN": "secret",
            "SOURCES__TOLOKA__BASE_URL": api.base_url,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": str(home / "run" / "dlt"),
        }
        with subprocess.Popen(
            [sys.executable, str(SERVER), str(SCRIPT)],
            env=inherited | configured,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            made = Runs(api, home, server)
            assert made.run()["code"] == 0
            made.keep()
            made.change()
            yield made
            server.communicate()


@pytest.fixture(scope="module")
def duration(runs: Runs) -> float:
    """Return how long a run takes that isn't killed."""
    taken = []
    for _ in range(3):
        runs.restore()
        taken.append(float(runs.run()["seconds"]))
    return max(taken)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_a_stage(runs: Runs, stage: str) -> None:
    runs.restore()
    assert runs.run(stage)["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize("stage", FIRST_STAGES)
def test_killed_at_a_stage_of_the_very_first_load(runs: Runs, stage: str) -> None:
    runs.restore(is_empty=True)
    assert runs.run(stage)["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize(("left", "stage"), HEALING)
def test_killed_again_while_it_heals(runs: Runs, left: str, stage: str) -> None:
    runs.restore()
    assert runs.run(left)["code"] == KILLED
    assert runs.run(stage)["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize("number", MOMENTS)
def test_killed_at_a_random_moment(runs: Runs, duration: float, number: int) -> None:
    dice = random.Random(number)  # noqa: S311 - no secret
    moment = max(dice.random(), dice.random()) * duration  # rather late, where the data is on its way
    runs.restore(is_empty=number % 4 == 0)
    answer = runs.run(seconds=moment)
    assert answer["code"] in {0, KILLED}
    runs.assert_right()
