"""Windows: that they cover a range, and that each loads right beside others, killed, or beside the regular runs."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import dlt
import psycopg2
import pytest
from deltalake import DeltaTable
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from tests.amounts import amount
from tests.backfills.window_process import side_by_side, start, steps_of
from tests.backfills.year import END, MARCH, START, YEAR, Place, fits, within
from tests.conftest import held
from toloka_source import LoadReport, Window, load, load_window, split_windows, toloka, window_name
from toloka_source.backfills.windows import BY
from toloka_source.emulator import Clock, Emulator, Fault
from toloka_source.errors import BusyError, ConfigurationError, DestinationLockedError, RejectedItemsError

pytest_plugins = ["tests.backfills.year_fixtures"]

SPRING = YEAR[1:4]

SHARES = [
    *(pytest.param(share, marks=pytest.mark.long) for share in (0.15, 0.3, 0.45, 0.7, 0.97)),
    *(pytest.param(share, marks=pytest.mark.slow) for share in (0.6, 0.8)),
    0.9,
]
"""What part of its steps a window has done when it is killed."""

ROUNDS = amount(quick=1, full=2, long=50)

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - strategies take naive ones
    lambda moment: moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
)
LENGTHS = st.integers(1, 900 * 86_400_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))


@given(start=MOMENTS, length=LENGTHS, by=st.sampled_from(BY))
def test_windows_cover_the_range_and_nothing_twice(start: datetime, length: timedelta, by: str) -> None:
    windows = split_windows(start, start + length, by)
    assert (windows[0].start, windows[-1].end) == (start, start + length)
    assert all(one.end == other.start for one, other in pairwise(windows))
    lengths = [window.end - window.start for window in windows if window.start and window.end]
    shortest, longest = {
        "day": (timedelta(days=1), timedelta(days=1)),
        "week": (timedelta(days=7), timedelta(days=7)),
        "month": (timedelta(days=28), timedelta(days=31)),
    }[by]
    assert timedelta() < min(lengths) <= max(lengths) <= longest
    assert min(lengths[1:-1], default=shortest) >= shortest
    for seam in (window.end for window in windows[:-1] if window.end):
        assert (seam.hour, seam.minute, seam.second, seam.microsecond) == (0, 0, 0, 0)
        assert by != "week" or seam.isoweekday() == 1
        assert by != "month" or seam.day == 1
    names = {window_name(window) for window in windows}
    assert len(names) == len(windows)
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in names)


def test_names() -> None:
    assert [window_name(window) for window in split_windows("2026-01-31T08:00:00.5", "2026-03-01")] == [
        "20260131t080000500_20260201",
        "20260201_20260301",
    ]
    assert window_name(Window(None, START)) == "open_20250101"


def test_the_end_of_time() -> None:
    assert split_windows("9999-12-30T12:00:00", "9999-12-31T12:00:00", "month") == [
        Window(datetime(9999, 12, 30, 12, tzinfo=UTC), datetime(9999, 12, 31, 12, tzinfo=UTC))
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("soon", "2026-01-01"), "start_date = 'soon': not a date"),
        (("2026-01-01", None), "end_date = None: not a date"),
        (("2026-01-01", "2026-01-01"), "end_date = '2026-01-01': must be after start_date, 2026-01-01 00:00:00"),
        (("2026-01-01", "2026-02-01", "year"), "by = 'year': unknown; use one of day, week, month"),
    ],
)
def test_ranges_that_are_none(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        split_windows(*arguments)
    assert said in str(raised.value)


def rows(report: LoadReport) -> list[int]:
    return [resource.rows for resource in report.resources]


def regular(place: Place, arguments: dict[str, Any]) -> LoadReport:
    pipeline = dlt.pipeline("toloka", destination=place.destination, dataset_name="toloka_data")
    return load(pipeline, toloka(**arguments, rescan_after_hours=24))


@pytest.mark.slow
def test_four_processes_load_a_year(
    new_database: Callable[[], Place], year: Emulator, arguments: dict[str, Any]
) -> None:
    for _ in range(ROUNDS):
        place = new_database()
        assert side_by_side(YEAR, place.destination, arguments, at_once=4) == [0] * 12
        place.assert_complete(year.account)
        place.assert_swept()


@pytest.mark.slow
def test_any_number_at_once(new_database: Callable[[], Place], year: Emulator, arguments: dict[str, Any]) -> None:
    place = new_database()
    assert side_by_side(YEAR, place.destination, arguments, at_once=12) == [0] * 12
    place.assert_complete(year.account)
    place.assert_swept()


@pytest.mark.slow
def test_a_merge_waits_for_another_merge_of_the_same_object(
    new_database: Callable[[], Place], arguments: dict[str, Any]
) -> None:
    place = new_database()
    load_window(MARCH, place.destination, **arguments)
    place.ask("DELETE FROM trainings WHERE id = '45'")
    url = place.destination.config_params["credentials"]
    with closing(psycopg2.connect(url)) as other:
        # what another window's merge does, not committed yet
        other.cursor().execute("INSERT INTO toloka_data.trainings (id) VALUES ('45')")
        process = start(MARCH, place.destination, arguments)
        deadline = time.monotonic() + 60
        waits = "SELECT * FROM pg_locks JOIN pg_class ON oid = relation WHERE NOT granted AND relname = 'trainings'"
        while process.is_alive() and not place.ask(waits):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert process.is_alive()
        other.commit()
    process.join()
    assert process.exitcode == 0
    assert place.ask("SELECT count(*) FROM trainings WHERE id = '45'") == [(1,)]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.slow
def test_a_killed_window_is_loaded_again(place: Place, year: Emulator, arguments: dict[str, Any], share: float) -> None:
    for window in SPRING:
        process = start(window, place.destination, arguments)
        process.join()
    process = start(MARCH, place.destination, arguments, step=int(share * steps_of(MARCH)))
    process.join()
    assert process.exitcode == -9
    load_window(MARCH, place.destination, **arguments)
    place.assert_complete(year.account, SPRING)
    place.assert_swept()


@pytest.mark.slow
def test_the_regular_pipeline_knows_nothing_of_it(
    place: Place, year: Emulator, arguments: dict[str, Any], clock: Clock
) -> None:
    notes = [f"SELECT * FROM {table}" for table in ("_dlt_pipeline_state", "_dlt_version")]  # noqa: S608
    assert rows(regular(place, arguments)) == [50, 192]
    clock.advance(hours=1)
    project = year.account.create_project()
    noted = [place.ask(query) for query in notes]
    assert rows(load_window(MARCH, place.destination, **arguments)) == [4, 22]
    assert [place.ask(query) for query in notes] == noted
    year.account.create_training(project["id"])
    clock.advance(hours=1)
    report = regular(place, arguments)
    assert rows(report) == [1, 1]
    assert report.resources[0].window_start == datetime(2026, 3, 10, 11, 59, tzinfo=UTC)
    assert place.ask("SELECT count(*), count(DISTINCT id) FROM projects") == [(51, 51)]
    assert place.ask("SELECT count(*), count(DISTINCT id) FROM trainings") == [(193, 193)]


@pytest.mark.slow
def test_the_first_regular_run_after_a_back_fill(
    place: Place, year: Emulator, arguments: dict[str, Any], clock: Clock
) -> None:
    for window in SPRING:
        load_window(window, place.destination, **arguments)
    assert ("_dlt_pipeline_state",) not in place.ask("SELECT table_name FROM information_schema.tables")
    report = regular(place, arguments)
    assert rows(report) == [50, 192]
    assert [resource.window_start for resource in report.resources] == [None, None]
    clock.advance(hours=1)
    year.account.create_project()
    assert rows(regular(place, arguments)) == [1, 0]
    assert place.ask("SELECT count(*), count(DISTINCT id) FROM projects") == [(51, 51)]
    assert place.ask("SELECT count(*), count(DISTINCT id) FROM trainings") == [(192, 192)]
    place.assert_swept()


@pytest.mark.parametrize("lost", ["rejected_items", "trainings", "_dlt_loads"])
@pytest.mark.slow
def test_a_table_that_is_not_there_is_made(place: Place, arguments: dict[str, Any], lost: str) -> None:
    for _ in range(2):
        assert rows(load_window(MARCH, place.destination, **arguments)) == [4, 22]
        assert place.ask("SELECT count(*) FROM projects") == [(4,)]
        assert place.ask("SELECT count(*) FROM trainings") == [(22,)]
        assert place.ask("SELECT count(*) FROM rejected_items") == [(1,)]
        place.ask(f"DROP TABLE {lost}{' CASCADE' if isinstance(place.destination, dlt.destinations.postgres) else ''}")


@pytest.mark.slow
def test_an_empty_window(place: Place, year: Emulator, arguments: dict[str, Any]) -> None:
    for _ in range(2):
        year.clear_requests()
        report = load_window(Window(END + timedelta(days=1), END + timedelta(days=2)), place.destination, **arguments)
        assert [(one.name, one.rows, one.requests) for one in report.resources] == [
            ("projects", 0, 1),
            ("trainings", 0, 2),
        ]
        assert len(year.requests) == 3
        load_window(MARCH, place.destination, **arguments)
    place.assert_swept()


@pytest.mark.slow
def test_one_resource(place: Place, arguments: dict[str, Any]) -> None:
    report = load_window(MARCH, place.destination, resources=["trainings"], **arguments)
    assert [(one.name, one.rows) for one in report.resources] == [("trainings", 22)]
    found = place.ask("SELECT table_name FROM information_schema.tables WHERE table_schema = 'toloka_data'")
    assert ("trainings",) in found
    assert ("projects",) not in found


def test_nothing_is_loaded_when_it_fails(place: Place, year: Emulator, arguments: dict[str, Any]) -> None:
    load_window(YEAR[0], place.destination, **arguments)
    with pytest.raises(RejectedItemsError):
        load_window(MARCH, place.destination, strict=True, **arguments)
    assert place.ask("SELECT count(*) FROM projects WHERE created > '2025-02-15'") == [(0,)]
    place.assert_swept()
    year.fail(Fault.status(401))
    with pytest.raises(ConfigurationError, match="resources = 'tasks': unknown"):
        load_window(MARCH, place.destination, resources=["tasks"], **arguments)
    with pytest.raises(ConfigurationError, match="needs an end"):
        load_window(Window(START), place.destination, **arguments)


@pytest.mark.slow
def test_the_same_window_twice_at_once(place: Place, year: Emulator, arguments: dict[str, Any]) -> None:
    year.fail(Fault.hang(3))
    process = start(MARCH, place.destination, arguments)
    while not year.requests:
        time.sleep(0.05)
    with pytest.raises(BusyError, match="20250301_20250401"):
        load_window(MARCH, place.destination, **arguments)
    process.join()
    assert process.exitcode == 0
    assert place.ask("SELECT count(*) FROM projects") == [(4,)]


@pytest.mark.slow
def test_windows_wait_for_each_other_on_duckdb(
    year: Emulator, arguments: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "toloka.duckdb"
    place = Place(dlt.destinations.duckdb(str(file)), tmp_path / "reader")
    assert side_by_side(SPRING, place.destination, arguments, at_once=3) == [0] * 3
    place.assert_complete(year.account, SPRING)
    place.assert_swept()
    year.clear_requests()
    with FileLock(f"{file}.lock"):
        waiting = Thread(target=load_window, args=(MARCH, place.destination), kwargs=arguments)
        waiting.start()
        while f"waiting until another process has loaded into {file}" not in caplog.messages:
            time.sleep(0.05)
    waiting.join()
    assert len(year.requests) == 3
    assert not Path(f"{file}.lock").exists()
    place.assert_complete(year.account, SPRING)


def test_another_program_has_the_duckdb_file(arguments: dict[str, Any], year: Emulator, tmp_path: Path) -> None:
    load_window(MARCH, "duckdb", **arguments)
    year.clear_requests()
    with (
        held(tmp_path / "toloka.duckdb") as holder,
        pytest.raises(DestinationLockedError, match=f"PID {holder}"),
    ):
        load_window(MARCH, "duckdb", lock_timeout=0.2, **arguments)
    assert year.requests == []
    with held(tmp_path / "toloka.duckdb", read_only=True):
        assert rows(load_window(MARCH, "duckdb", **arguments)) == [4, 22]


@pytest.mark.slow
def test_delta_tables_are_merged(year: Emulator, arguments: dict[str, Any], tmp_path: Path) -> None:
    destination = dlt.destinations.filesystem((tmp_path / "lake").as_uri())
    for window in (*SPRING, MARCH):
        load_window(window, destination, table_format="delta", **arguments)
    for table, objects in (("projects", year.account.projects), ("trainings", year.account.trainings)):
        found = Counter(DeltaTable(tmp_path / "lake" / "toloka_data" / table).to_pyarrow_table()["id"].to_pylist())
        assert found == Counter(item["id"] for item in within(objects, SPRING) if fits(item))


def test_plain_files_get_a_window_s_rows_each_time_and_a_warning(
    arguments: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    destination = dlt.destinations.filesystem((tmp_path / "lake").as_uri())
    for number in (1, 2):
        with caplog.at_level(logging.WARNING):
            assert rows(load_window(MARCH, destination, **arguments)) == [4, 22]
        assert len(list((tmp_path / "lake" / "toloka_data" / "projects").glob("*.parquet"))) == number
        assert sum("adds rows and replaces none" in message for message in caplog.messages) == 2 * number


def test_a_dataset_s_name_leads_to_no_other_folder(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    victim = tmp_path / f"victim_{window_name(MARCH)}"
    victim.mkdir()
    (victim / "file").touch()
    load_window(MARCH, "duckdb", "/../../../victim", **arguments)  # dlt makes a name of it
    assert (victim / "file").exists()
