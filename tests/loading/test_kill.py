"""Killed at any moment, the command loses nothing and doubles nothing: the next run makes the tables right."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from tests.amounts import amount
from tests.conftest import NOON, expected_rows
from toloka_source import ENDPOINTS
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Account, Clock, Emulator

SERVER = Path(__file__).with_name("killed.py")
MOMENTS = range(amount(quick=3, full=4, long=500))
STEPS = amount(quick=4, full=5, long=400)
KILLED = -9

SHARES = [number / STEPS for number in range(STEPS)]
"""Where in a run it is killed: before the step on disk that so large a part of all its steps precede."""

FIRST_SHARES = SHARES[::2]
"""The same of a first run."""

IDLE_SHARES = SHARES[::2]
"""The same of a run that finds nothing new."""

HEALING = list(product((0.4, 0.55, 0.7, 0.85), (0, 1, 2, 3, 5, 8, 13, 21)))[:: amount(quick=15, full=8, long=1)]
"""What part of a first run was done when it was killed, and how many steps the run after it does until it is, too."""


Tables = dict[str, list[dict[str, Any]]]


class Runs:
    """An account, and the command that loads it into one folder, in a process for each run."""

    def __init__(self, api: Emulator, home: Path, server: "subprocess.Popen[str]") -> None:
        """Begin with an empty folder."""
        self.api = api
        self.home = home
        self.folder = home / "run"
        self.folder.mkdir()
        self._server = server

    def run(self, step: int | None = None, seconds: float | None = None, replaced: str | None = None) -> dict[str, Any]:
        """Run the command, killed before a step on disk or after some seconds; return its answer.

        Or killed "before" or "after" the step that puts the database in its place.
        """
        assert self._server.stdin
        assert self._server.stdout
        order = {"folder": str(self.folder), "step": step, "seconds": seconds, "replaced": replaced}
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
        for id_ in account.ids("projects")[:2]:
            account.edit_project(id_, public_name="another name")
        account.remove("projects", account.ids("projects")[-5])
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

    def steps(self) -> int:
        """Return how many steps on disk the last run took, which came to its end."""
        return int((self.folder / "steps.txt").read_text())

    def account(self) -> Tables:
        """Return what the tables are to hold."""
        objects = {"projects": self.api.account.projects, "trainings": self.api.account.trainings}
        return {name: expected_rows(found, ENDPOINTS[name].schema) for name, found in objects.items()}

    def tables(self) -> Tables:
        """Return what the tables hold of what the account has; they aren't there before the first load."""
        with duckdb.connect(self.folder / "toloka.duckdb", read_only=True) as connection:
            if not connection.execute("FROM duckdb_tables()").fetchone():
                return {}
            there = {name: set(self.api.account.ids(name)) for name in DEFAULT_ENDPOINTS}
            return {
                name: [row for row in rows(connection, name) if row["id"] in there[name]] for name in DEFAULT_ENDPOINTS
            }

    def assert_right(self) -> None:
        """Run once more; then the tables equal the account, and nothing is left to load."""
        answer = self.run()
        assert answer["code"] == 0, (self.folder / "output.txt").read_text()
        assert self.tables() == self.account()
        with duckdb.connect(self.folder / "toloka.duckdb", read_only=True) as connection:
            for name in DEFAULT_ENDPOINTS:
                assert_history(connection, name, set(self.api.account.ids(name)))
        assert {path.name for path in self.folder.iterdir()} == {"toloka.duckdb", "dlt", "output.txt", "steps.txt"}
        assert list((self.folder / "dlt" / "pipelines" / "toloka").glob("toloka-*")) == []
        for left in ("normalize/extracted", "load/normalized"):
            packages = (self.folder / "dlt" / "pipelines" / "toloka" / left).glob("*/")
            assert [path for path in packages if path.is_dir()] == []


def assert_history(connection: duckdb.DuckDBPyConnection, table: str, there: set[str]) -> None:
    """Check that each object has its versions once, one after the other, and that what is gone is noted once."""
    hashes = dict(connection.execute(f"SELECT id, _toloka_hash FROM toloka_data.{table}").fetchall())  # noqa: S608
    history = f"SELECT id, _toloka_hash, valid_from, valid_to FROM toloka_data.{table}_history"  # noqa: S608
    versions: dict[str, list[tuple[Any, ...]]] = {id_: [] for id_ in hashes}
    for id_, *version in connection.execute(f"{history} ORDER BY id, valid_from").fetchall():
        versions[id_].append(tuple(version))
    for id_, found in versions.items():
        assert found[-1][0] == hashes[id_]
        assert (found[-1][2] is None) == (id_ in there)
        assert [end for _, _, end in found[:-1]] == [start for _, start, _ in found[1:]]
    if gone := hashes.keys() - there:
        query = "SELECT id FROM toloka_data.gone_items WHERE resource = ? AND back_at IS NULL"
        assert connection.execute(query, [table]).fetchall() == [(id_,) for id_ in gone]


def rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    """Return a table in the order of ids as numbers, JSON parsed."""
    parsed = {field.name for field in ENDPOINTS[table].schema if schemas.is_json(field)}
    ours = "_dlt_load_id, _toloka_hash"
    connection.execute(f"SELECT * EXCLUDE ({ours}) FROM toloka_data.{table} ORDER BY length(id), id")  # noqa: S608
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
            "SOURCES__TOLOKA__HISTORY": "true",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": str(home / "run" / "dlt"),
        }
        with subprocess.Popen(
            [sys.executable, str(SERVER)],
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


@pytest.fixture(scope="module")
def steps(runs: Runs) -> int:
    """Return how many steps on disk a run takes that isn't killed."""
    runs.restore()
    assert runs.run()["code"] == 0
    return runs.steps()


@pytest.fixture(scope="module")
def first_steps(runs: Runs) -> int:
    """Return the same of a first run."""
    runs.restore(is_empty=True)
    assert runs.run()["code"] == 0
    return runs.steps()


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.slow
def test_killed_before_a_step_on_disk(runs: Runs, steps: int, share: float) -> None:
    runs.restore()
    assert runs.run(int(share * steps))["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize("share", FIRST_SHARES)
@pytest.mark.slow
def test_killed_before_a_step_of_the_very_first_load(runs: Runs, first_steps: int, share: float) -> None:
    runs.restore(is_empty=True)
    assert runs.run(int(share * first_steps))["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize("share", IDLE_SHARES)
@pytest.mark.slow
def test_killed_before_a_step_of_an_idle_run(runs: Runs, share: float) -> None:
    runs.restore()
    for _ in range(3):  # the first brings rows, the second clears away after it
        assert runs.run()["code"] == 0
    assert runs.run(int(share * runs.steps()))["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize(("left", "step"), HEALING)
def test_killed_again_while_it_heals(runs: Runs, steps: int, left: float, step: int) -> None:
    runs.restore()
    assert runs.run(int(left * steps))["code"] == KILLED
    assert runs.run(step)["code"] == KILLED
    runs.assert_right()


@pytest.mark.parametrize("number", MOMENTS)
@pytest.mark.slow
def test_killed_at_a_random_moment(runs: Runs, duration: float, number: int) -> None:
    rng = random.Random(number)  # noqa: S311 - no secret
    moment = max(rng.random(), rng.random()) * duration  # rather late, where the data is on its way
    is_empty = number % 4 == 0
    runs.restore(is_empty=is_empty)
    before = {} if is_empty else runs.tables()
    answer = runs.run(seconds=moment)
    assert answer["code"] in {0, KILLED}
    if (runs.folder / "toloka.duckdb").exists():
        assert runs.tables() in (before, runs.account())
    runs.assert_right()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.slow
def test_killed_as_the_file_is_replaced(runs: Runs, moment: str) -> None:
    runs.restore()
    before = runs.tables()
    with duckdb.connect(runs.folder / "toloka.duckdb", read_only=True) as reader:
        assert runs.run(replaced=moment)["code"] == KILLED
        there = set(runs.api.account.ids("projects"))
        assert [row for row in rows(reader, "projects") if row["id"] in there] == before["projects"]
    assert runs.tables() == (runs.account() if moment == "after" else before)
    runs.assert_right()
    with duckdb.connect(runs.folder / "toloka.duckdb", read_only=True) as connection:
        loads = connection.execute("SELECT count(*), count(DISTINCT load_id) FROM toloka_data._dlt_loads").fetchone()
    assert loads
    assert loads[0] == loads[1]  # nothing was loaded twice
