"""`load`: whatever the last run left, and whatever happened at the destination, one more run makes the tables right."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.common.versioned_state import decompress_state

from tests.amounts import each_once
from tests.conftest import NOON, Warehouse, assert_tables_equal_account, bare, fill, happen, held
from toloka_source import errors, load
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.emulator import Account, Clock, Emulator, Fault

SCRIPT = Path(__file__).parents[2] / "pipelines" / "toloka_pipeline.py"

Place = tuple[str, str]
"""A DuckDB file and a dataset in it."""

ONE: Place = ("one.duckdb", "toloka_data")
OTHER_DATASET: Place = ("one.duckdb", "other_data")
OTHER_FILE: Place = ("two.duckdb", "toloka_data")
OTHER_BOTH: Place = ("two.duckdb", "other_data")

HOLDER = """
import runpy, sys
from dlt.destinations.impl.duckdb.duck import DuckDbClient
complete = DuckDbClient.complete_load

def hold(*arguments):
    print("held", flush=True)
    input()
    complete(*arguments)

DuckDbClient.complete_load = hold
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""
"""The command, except that it waits for a line of input while its data is on the way to the file."""


def warehouse_at(api: Emulator, place: Place) -> Warehouse:
    """Return the one pipeline, on its way to a place."""
    file, dataset = place
    warehouse = Warehouse(api)
    warehouse.pipeline = dlt.pipeline("toloka", destination=dlt.destinations.duckdb(file), dataset_name=dataset)
    return warehouse


def interrupt(warehouse: Warehouse, before: str) -> None:
    """Run, and break off before a step of dlt's: what the earlier ones made stays in the working folder."""

    def stop(*_arguments: object, **_keywords: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dlt.Pipeline, before, stop)
        with pytest.raises(KeyboardInterrupt):
            load(warehouse.pipeline, warehouse.source())


def execute(*statements: str, file: str = "toloka.duckdb") -> list[tuple[Any, ...]]:
    """Change or ask the DuckDB file, as anybody else could; return the last statement's rows."""
    with duckdb.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)
        return connection.fetchall()


def loads(warehouse: Warehouse) -> list[str]:
    """Return the ids of all packages that the dataset has."""
    with warehouse.pipeline.sql_client() as client:
        return [str(row[0]) for row in client.execute_sql("SELECT load_id FROM _dlt_loads ORDER BY 1") or ()]


def pending(warehouse: Warehouse) -> list[str]:
    """Return the ids of all packages that wait in the working folder."""
    pipeline = warehouse.pipeline
    return [*pipeline.list_extracted_load_packages(), *pipeline.list_normalized_load_packages()]


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Return a pipeline whose account has some history; nothing was loaded yet."""
    fill(warehouse.api.account, projects=30, trainings=20)
    return warehouse


# what an interrupted run left


@pytest.mark.parametrize("before", ["normalize", "load"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first run", "later run"])
def test_after_an_interrupted_run_comes_all_of_it_and_the_new_data_too(
    filled: Warehouse, caplog: pytest.LogCaptureFixture, before: str, *, is_first: bool
) -> None:
    if not is_first:
        filled.load()
        happen(filled.api.account)
    interrupt(filled, before)
    (left,) = pending(filled)
    happen(filled.api.account)

    report = filled.load()
    assert_tables_equal_account(filled)
    assert pending(filled) == []
    assert [resource.rows for resource in filled.load().resources] == [0, 0]
    if before == "load" and not is_first:
        assert left in loads(filled)
        assert left in caplog.text
        assert [resource.rows for resource in report.resources] == [1, 2]


@pytest.mark.parametrize("is_first", [True, False], ids=["first run", "later run"])
def test_an_interrupted_run_whose_state_is_nowhere_else(
    filled: Warehouse, monkeypatch: pytest.MonkeyPatch, *, is_first: bool
) -> None:
    monkeypatch.setenv("RESTORE_FROM_DESTINATION", "false")
    warehouse = Warehouse(filled.api)
    if not is_first:
        warehouse.load()
        happen(filled.api.account)
    interrupt(warehouse, "load")
    warehouse.pipeline.sync_schema()  # makes the tables, as a load does that is killed right after
    happen(filled.api.account)
    warehouse.load()
    assert_tables_equal_account(warehouse)


@pytest.mark.slow
def test_a_pending_package_that_others_made_is_loaded(filled: Warehouse) -> None:
    for _ in range(2):
        filled.load()
        happen(filled.api.account)
    filled.pipeline.extract(filled.source())
    filled.pipeline.normalize()
    (left,) = pending(filled)
    happen(filled.api.account)
    filled.load()
    assert left in loads(filled)
    assert_tables_equal_account(filled)


@pytest.mark.parametrize(
    ("elsewhere", "before"), each_once([OTHER_DATASET, OTHER_FILE], ["normalize", "load"], more=[OTHER_BOTH])
)
@pytest.mark.slow
def test_a_pending_package_of_another_place_is_never_loaded_here(
    filled: Warehouse, elsewhere: Place, before: str
) -> None:
    api = filled.api
    warehouse_at(api, elsewhere).load()
    happen(api.account)
    first = warehouse_at(api, ONE)
    first.load()
    happen(api.account)
    interrupt(first, before)
    (left,) = pending(first)
    happen(api.account)

    other = warehouse_at(api, elsewhere)
    other.load()
    assert left not in loads(other)
    assert_tables_equal_account(other)
    again = warehouse_at(api, ONE)
    again.load()
    assert_tables_equal_account(again)


@pytest.mark.slow
def test_switching_between_places_loses_nothing(filled: Warehouse) -> None:
    for place in (OTHER_DATASET, OTHER_FILE, OTHER_BOTH, ONE, OTHER_DATASET, ONE):
        happen(filled.api.account)
        warehouse = warehouse_at(filled.api, place)
        report = warehouse.load()
        assert_tables_equal_account(warehouse)
    assert [resource.rows for resource in report.resources] == [2, 4]  # since the last time here


def test_the_same_package_in_both_folders(filled: Warehouse, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    filled.load()
    happen(filled.api.account)
    filled.pipeline.extract(filled.source())
    extracted = Path(filled.pipeline.working_dir, "normalize", "extracted")
    shutil.copytree(extracted, tmp_path / "kept")
    filled.pipeline.normalize()
    shutil.copytree(tmp_path / "kept", extracted, dirs_exist_ok=True)  # as a kill between two steps leaves it
    left, again = pending(filled)
    assert left == again

    happen(filled.api.account)
    filled.load()
    assert f"loading the packages {left} of an interrupted run" in caplog.text
    assert left in loads(filled)
    assert_tables_equal_account(filled)
    assert pending(filled) == []


def test_a_schema_of_which_a_kill_has_left_a_part(filled: Warehouse) -> None:
    filled.load()
    happen(filled.api.account)
    Path(filled.pipeline.working_dir, "schemas", "1fdb4e6c68226121").write_text("{")
    again = Warehouse(filled.api)
    again.load()
    assert_tables_equal_account(again)


# what happened at the destination


@pytest.mark.parametrize(
    ("damage", "repair"),
    [
        pytest.param(
            "ALTER TABLE toloka_data.projects ALTER public_name TYPE INTEGER USING 1",
            "ALTER TABLE toloka_data.projects ALTER public_name TYPE VARCHAR",
            id="type",
        ),
        pytest.param(
            "ALTER TABLE toloka_data.projects RENAME public_name TO name",
            "ALTER TABLE toloka_data.projects RENAME name TO public_name",
            id="renamed",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "ALTER TABLE toloka_data.projects DROP public_name",
            "ALTER TABLE toloka_data.projects ADD public_name VARCHAR",
            id="dropped",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "USE toloka_data; ALTER TABLE projects RENAME TO kept; CREATE VIEW projects AS FROM kept",
            "USE toloka_data; DROP VIEW projects; ALTER TABLE kept RENAME TO projects",
            id="view",
        ),
    ],
)
@pytest.mark.slow
def test_a_refusal_leaves_nothing_behind(filled: Warehouse, damage: str, repair: str) -> None:
    for _ in range(2):
        filled.load()
        happen(filled.api.account)
    execute(damage)
    for _ in range(2):
        with pytest.raises(errors.DestinationError) as caught:
            filled.load()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("the destination refused the data; the next run begins where this one")
        assert pending(filled) == []
    happen(filled.api.account)
    execute(repair)
    is_lossy = "RENAME" not in damage
    # what was changed in a row at the destination isn't seen
    report = load(filled.pipeline, filled.source(rescan_after_hours=24), refresh="drop_resources" if is_lossy else None)
    assert_tables_equal_account(filled)
    # nothing of the loads that failed is there: two hours' worth
    assert is_lossy or [resource.rows for resource in report.resources] == [2, 4]


GONE = [
    "DROP TABLE toloka_data.projects; DROP TABLE toloka_data.trainings",
    "DROP TABLE toloka_data.trainings",
    "DROP SCHEMA toloka_data CASCADE",
    "DROP SCHEMA toloka_data_staging CASCADE",
    "DROP TABLE toloka_data._dlt_version",
    "DROP TABLE toloka_data._dlt_pipeline_state",
    "DROP TABLE toloka_data._dlt_loads",
    "DELETE FROM toloka_data._dlt_version",
]

GONE_TOO = [
    "DROP TABLE toloka_data.projects",
    "DROP SCHEMA toloka_data CASCADE; DROP SCHEMA toloka_data_staging CASCADE",
    "DROP TABLE toloka_data_staging.projects",
    "DROP TABLE toloka_data_staging._dlt_version",
    "; ".join(f"DROP TABLE toloka_data.{name}" for name in ("_dlt_version", "_dlt_pipeline_state", "_dlt_loads")),
    "DELETE FROM toloka_data._dlt_pipeline_state",
    "DELETE FROM toloka_data._dlt_loads",
]


@pytest.mark.parametrize(("damage", "folder"), each_once(GONE, ["kept", "lost"], more=GONE_TOO))
@pytest.mark.slow
def test_what_is_gone_from_the_destination_comes_back(
    filled: Warehouse, own_folder: Path, damage: str, folder: str
) -> None:
    filled.load()
    happen(filled.api.account)
    filled.load()
    execute(damage)
    if folder == "lost":
        shutil.rmtree(own_folder / "dlt")
    happen(filled.api.account)
    again = Warehouse(filled.api)
    again.load()
    assert_tables_equal_account(again)
    happen(filled.api.account)
    report = again.load()
    assert_tables_equal_account(again)
    assert [resource.rows for resource in report.resources] == [1, 2]  # it went on from the cursor


@pytest.mark.slow
def test_a_file_that_is_gone_comes_back(filled: Warehouse) -> None:
    filled.load()
    Path("toloka.duckdb").unlink()
    happen(filled.api.account)
    filled.load()
    assert_tables_equal_account(filled)


def test_another_program_that_writes_into_the_file(filled: Warehouse) -> None:
    filled.load()
    happen(filled.api.account)
    with (
        held("toloka.duckdb", read_only=False) as writer,
        pytest.raises(errors.DestinationLockedError, match=f"end the other process.*PID {writer}"),
    ):
        load(filled.pipeline, filled.source(), lock_timeout=0.2)
    happen(filled.api.account)
    filled.load()
    assert_tables_equal_account(filled)


# two at once

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(filled: Warehouse) -> Iterator[Start]:
    """Return a function that starts the command in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        *before: str, after: Sequence[str] = (), folder: Path | None = None, **variables: str
    ) -> "subprocess.Popen[str]":
        configured = {"SOURCES__TOLOKA__TOKEN": "secret", "SOURCES__TOLOKA__BASE_URL": filled.api.base_url}
        process = subprocess.Popen(
            [sys.executable, *before, str(SCRIPT), "--progress", "off", *after],
            env={**os.environ, **configured, **variables},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("dlt", "error: another process runs the pipeline 'toloka'"),
        # after some waiting
        pytest.param("another", "error: process ", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_a_second_run_while_the_first_one_loads(
    filled: Warehouse, own_folder: Path, start: Start, folder: str, said: str
) -> None:
    filled.load()
    happen(filled.api.account)
    first = start("-c", HOLDER)
    assert first.stdout
    assert first.stdout.readline() == "held\n"
    second = start(after=["--lock-timeout", "5"], DLT_DATA_DIR=str(own_folder / folder))
    out, err = second.communicate()
    *before, line = bare(err).splitlines()
    assert (second.returncode, out) == (1, "")
    assert line.startswith(said)
    assert [one.partition(" until ")[0] for one in before] == ["warning: waiting"] * (folder == "another")

    assert first.communicate("\n")[1] == ""
    assert first.returncode == 0
    assert_tables_equal_account(filled)
    happen(filled.api.account)
    last = start(DLT_DATA_DIR=str(own_folder / folder))
    said = bare(last.communicate()[1])
    assert [line.partition(" packages ")[0] for line in said.splitlines()] == (
        ["warning: loading the"] * (folder == "another")  # the second run had read all by then
    )
    assert last.returncode == 0
    assert_tables_equal_account(filled)


@pytest.mark.slow
@pytest.mark.parametrize("folders", [("dlt", "dlt"), ("dlt", "another")], ids=["one folder", "two folders"])
def test_two_runs_that_race(filled: Warehouse, own_folder: Path, start: Start, folders: tuple[str, str]) -> None:
    filled.load()
    for _ in range(2):
        happen(filled.api.account)
        both = [start(DLT_DATA_DIR=str(own_folder / folder)) for folder in folders]
        for process in both:
            _, err = process.communicate()
            *_, last = err.splitlines() or [""]  # dlt may have waited for the file, and said so
            is_clear = bare(last).startswith(("error: another process runs", "error: end the other process"))
            assert (process.returncode, is_clear) in {(0, False), (1, True)}, err
    happen(filled.api.account)
    filled.load()
    assert_tables_equal_account(filled)


# what a run says, keeps and refuses


@pytest.mark.slow
def test_the_report(filled: Warehouse, clock: Clock) -> None:
    filled.load()
    clock.advance(hours=1)
    filled.api.account.create_project()
    filled.api.account.create_project(created="soon")  # no filter of the API finds it
    filled.api.fail(Fault.status(503), on="projects")
    report = filled.load(rescan_after_hours=None)
    projects, trainings = report.resources
    assert (projects.name, projects.rows, projects.requests, projects.retries) == ("projects", 1, 2, 1)
    assert (trainings.name, trainings.rows, trainings.requests, trainings.retries) == ("trainings", 0, 2, 0)
    for resource in report.resources:
        assert resource.window_start == NOON - timedelta(seconds=60)
        assert resource.window_end == NOON + timedelta(hours=1)
        assert resource.window_start.tzinfo == resource.window_end.tzinfo == UTC
        assert 0 < resource.seconds < report.seconds
    assert len(filled.api.requests) == sum(resource.requests for resource in report.resources)

    everything = filled.load(rescan_after_hours=0)
    assert [(resource.rows, resource.rejected, resource.window_start) for resource in everything.resources] == [
        (0, 1, None),
        (0, 0, None),
    ]
    assert filled.count("rejected_items") == 1


def test_a_report_of_chosen_resources(filled: Warehouse) -> None:
    report = load(filled.pipeline, filled.source().with_resources("trainings"))
    assert [resource.name for resource in report.resources] == ["trainings"]
    report = load(filled.pipeline, filled.source(rescan_after_hours=0))
    assert [(one.name, one.rows, one.new) for one in report.resources] == [("projects", 30, 30), ("trainings", 0, 0)]


@pytest.mark.slow
def test_a_report_has_what_dlt_says(filled: Warehouse) -> None:
    first = filled.load()
    happen(filled.api.account)
    second = filled.load()
    execute("DROP TABLE toloka_data.trainings")
    again = filled.load()
    infos = [*first.load_info, *second.load_info, *again.load_info]
    assert [len(report.load_info) for report in (first, second, again)] == [1, 1, 1]
    assert {info.dataset_name for info in infos if info.loads_ids} == {"toloka_data"}
    with filled.pipeline.sql_client() as client:
        loaded = client.execute_sql("SELECT load_id FROM _dlt_loads ORDER BY load_id") or ()
    assert [load_id for info in infos for load_id in info.loads_ids] == [row[0] for row in loaded]
    # it passes between processes
    sent = pickle.loads(pickle.dumps(again))  # noqa: S301 - our own
    assert sent == again
    assert [info.loads_ids for info in sent.load_info] == [info.loads_ids for info in again.load_info]
    assert "1 load package(s) were loaded" in str(sent.load_info[0])


@pytest.mark.slow
def test_the_working_folder_does_not_grow(warehouse: Warehouse, clock: Clock, own_folder: Path) -> None:
    account = warehouse.api.account
    fields = {name: value for name, value in account.create_project().items() if name not in {"id", "created"}}
    sizes, counts = [], []
    for _ in range(7):
        clock.advance(hours=1)
        account.create_project(**fields)
        warehouse.load(rescan_after_hours=None)
        paths = [path for path in (own_folder / "dlt").rglob("*") if path.is_file()]
        counts.append(len(paths))
        sizes.append(sum(path.stat().st_size for path in paths))
    assert len(set(counts[1:])) == 1
    assert max(sizes[2:]) - min(sizes[2:]) < 1_000


def test_the_state_stays_small_whatever_the_overlap_holds(warehouse: Warehouse) -> None:
    for _ in range(2_000):
        warehouse.api.account.create_project()
    warehouse.api.account.create_training("1")
    warehouse.load()
    warehouse.load()
    assert_tables_equal_account(warehouse)
    sizes = execute("SELECT max(length(state)) FROM toloka_data._dlt_pipeline_state")
    assert sizes[0][0] < 10_000
    (size,) = [path.stat().st_size for path in Path("dlt/pipelines/toloka").glob("state.json")]
    assert size < 10_000


def dump(file: str) -> tuple[list[Any], ...]:
    """Return all that a DuckDB file holds of the account, as text, and the state of the sources."""
    of_dlt = "COLUMNS(lambda name: name NOT LIKE '_dlt%')"
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        tables = [
            connection.execute(f"SELECT CAST({of_dlt} AS VARCHAR) FROM toloka_data.{name} ORDER BY id").fetchall()  # noqa: S608
            for name in DEFAULT_ENDPOINTS
        ]
        states = connection.execute("SELECT state FROM toloka_data._dlt_pipeline_state ORDER BY version").fetchall()
    sources = [decompress_state(state)["sources"] for (state,) in states]
    for resource in [resource for source in sources for resource in source["toloka"]["resources"].values()]:
        del resource["scope"], resource["account_place"]  # digests of where the file is, among others
    return *tables, sources


@pytest.mark.slow
def test_the_zone_of_the_machine_changes_nothing(clock: Clock, own_folder: Path, start: Start) -> None:
    dumps = []
    for zone in ("America/New_York", "Asia/Kathmandu"):
        clock.set(NOON)
        folder = own_folder / zone.replace("/", "_")
        folder.mkdir()
        with Emulator(Account.lifelike(projects=30, trainings=20, clock=clock)) as api:
            variables = {"TZ": zone, "DLT_DATA_DIR": str(folder / "dlt"), "SOURCES__TOLOKA__BASE_URL": api.base_url}
            for rows in (30, 20), (1, 2):
                out, err = start(folder=folder, **variables).communicate()
                assert err == ""
                cells = [line.split() for line in out.splitlines()]
                assert [[row[0], row[2]] for row in cells if row and row[0] in DEFAULT_ENDPOINTS] == [
                    ["projects", f"{rows[0]}"],
                    ["trainings", f"{rows[1]}"],
                ]
                happen(api.account)
        dumps.append(dump(str(folder / "toloka.duckdb")))
    assert dumps[0] == dumps[1]
    assert [len(part) for part in dumps[0]] == [31, 21, 2]


@pytest.mark.slow
def test_a_strict_run_loads_nothing_when_something_does_not_fit(filled: Warehouse) -> None:
    filled.load()
    before = dump("toloka.duckdb")
    happen(filled.api.account)
    misfit = filled.api.account.create_training("1", assignment_max_duration_seconds="long")
    with pytest.raises(errors.RejectedItemsError) as caught:
        filled.load(strict=True)
    said = f'trainings: id "{misfit["id"]}", assignment_max_duration_seconds: '
    assert str(caught.value).startswith(said)
    assert dump("toloka.duckdb") == before
    assert pending(filled) == []

    report = filled.load()
    assert [(resource.rows, resource.rejected) for resource in report.resources] == [(1, 0), (2, 1)]
    filled.api.account.edit_training(misfit["id"], assignment_max_duration_seconds=7)
    report = filled.load(strict=True)
    assert [(resource.rows, resource.rejected) for resource in report.resources] == [(0, 0), (1, 0)]
    assert_tables_equal_account(filled)


@pytest.mark.parametrize(
    ("ahead", "rescan"),
    each_once([timedelta(seconds=30), timedelta(days=400)], [24.0, None], more=[timedelta(hours=3)]),
)
@pytest.mark.slow
def test_a_clock_that_was_ahead_loses_nothing(
    filled: Warehouse, clock: Clock, ahead: timedelta, rescan: float | None
) -> None:
    filled.load(rescan_after_hours=rescan)
    now = clock.now() + timedelta(hours=1)
    clock.set(now + ahead)
    filled.api.account.create_project()
    filled.load(rescan_after_hours=rescan)
    clock.set(now)
    for _ in range(3):
        filled.api.account.create_project()
        filled.api.account.start_training(filled.api.account.create_training("1")["id"])
        filled.load(rescan_after_hours=rescan)
        assert_tables_equal_account(filled)
        assert [resource.rows for resource in filled.load(rescan_after_hours=rescan).resources] == [0, 0]
        clock.advance(seconds=20)


@pytest.mark.slow
def test_making_lost_tables_again_leaves_other_pipelines_alone(filled: Warehouse) -> None:
    other = dlt.pipeline("other", destination="duckdb", dataset_name="toloka_data")
    other.destination.config_params["credentials"] = "toloka.duckdb"
    other.run([{"id": 1}], table_name="others")
    filled.load()
    happen(filled.api.account)
    filled.load()
    happen(filled.api.account)
    with filled.pipeline.sql_client() as client:
        client.execute_sql("DROP TABLE toloka_data_staging.projects")
    filled.load()
    assert_tables_equal_account(filled)
    with filled.pipeline.sql_client() as client:
        found = client.execute_sql("SELECT DISTINCT schema_name FROM _dlt_version ORDER BY 1")
    assert [row[0] for row in found or ()] == ["other", "toloka"]
