"""Features of dlt's with an outcome of their own, filters, dates and places, with `run` and `load` alike."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import pyarrow.parquet as pq
import pytest
from dlt.extract import DltSource

from tests.conftest import NOON, Warehouse, expected_rows, happen
from tests.guest.features import Do, ask, assert_equal, each, merged_by, table_of, with_length
from toloka_source import ENDPOINTS, LoadReport, load, toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS
from toloka_source.emulator import Account, Clock, Emulator
from toloka_source.tables import batches

pytest_plugins = ["tests.guest.fixtures"]

PAGE = ENDPOINTS["projects"].page_size


@pytest.mark.parametrize("limit", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.slow
def test_a_limit_promises_nothing(
    warehouse: Warehouse, account: Account, do: Do, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(batches, "TABLE_ROWS", PAGE)
    for _ in range(3 * PAGE):
        account.create_project()
    account.clock.advance(hours=1)  # so that none of them is near the cursor
    source = warehouse.source()
    source.projects.add_limit(limit)
    done = do(warehouse.pipeline, source)
    assert limit * PAGE <= warehouse.count("projects") < len(account.projects)
    if isinstance(done, LoadReport):
        projects, trainings = done.resources
        assert (projects.rows, projects.window_end) == (warehouse.count("projects"), None)
        assert trainings.window_end == NOON + timedelta(hours=1)
    do(warehouse.pipeline, warehouse.source(rescan_after_hours=None))
    assert_equal(warehouse.pipeline, account)


def test_a_limit_of_nothing(warehouse: Warehouse, account: Account, do: Do) -> None:
    do(warehouse.pipeline, warehouse.source().add_limit(0))
    do(warehouse.pipeline, warehouse.source())
    assert_equal(warehouse.pipeline, account)


@pytest.mark.slow
def test_append_keeps_each_version(warehouse: Warehouse, account: Account, do: Do) -> None:
    for _ in range(3):
        source = warehouse.source()
        each(source, write_disposition="append")
        do(warehouse.pipeline, source)
        happen(account)
    versions = ask(warehouse.pipeline, "SELECT count(*) FROM trainings GROUP BY id ORDER BY 1 DESC LIMIT 3")
    assert versions == [(2,), (2,), (1,)]
    assert ask(warehouse.pipeline, "SELECT count(*), count(DISTINCT id) FROM trainings") == [(49, 47)]
    assert ask(warehouse.pipeline, "SELECT count(*), count(DISTINCT id) FROM projects") == [(62, 62)]


def test_insert_only_keeps_the_first_version(warehouse: Warehouse, account: Account, do: Do) -> None:
    first = account.trainings
    for _ in range(2):
        source = warehouse.source()
        each(source, write_disposition=merged_by("insert-only"))
        do(warehouse.pipeline, source)
        happen(account)
    found = table_of(warehouse.pipeline, "trainings", schema="trainings")
    assert found == expected_rows([*first, account.trainings[len(first)]], ENDPOINTS["trainings"].schema)


@pytest.mark.parametrize(
    "is_one_object",
    [pytest.param(False, id="fresh sources", marks=pytest.mark.long), pytest.param(True, id="one source")],
)
def test_scd2_keeps_a_row_of_each_version(
    warehouse: Warehouse, account: Account, do: Do, *, is_one_object: bool
) -> None:
    source = warehouse.source()
    for number in range(4):
        if number == 0 or not is_one_object:
            source = warehouse.source()
            each(source, write_disposition=merged_by("scd2"))
        do(warehouse.pipeline, source)
        for name, endpoint in DEFAULT_ENDPOINTS.items():
            current = table_of(warehouse.pipeline, name, "_dlt_valid_to IS NULL", name)
            assert current == expected_rows(getattr(account, name), endpoint.schema)
        if number == 2:
            account.edit_project(account.ids("projects")[0], public_name="Edited")
            account.clock.advance(hours=25)  # everything is read again, and nothing but the edit is new
        else:
            happen(account)
    old = "SELECT count(*) FROM {} WHERE _dlt_valid_to IS NOT NULL"
    assert ask(warehouse.pipeline, old.format("projects")) == [(1,)]
    assert ask(warehouse.pipeline, old.format("trainings")) == [(2,)]


@pytest.mark.slow
def test_an_incremental_of_the_users_own(warehouse: Warehouse, account: Account, do: Do) -> None:
    moments = sorted(project["created"] for project in account.projects)
    start = datetime.fromisoformat(moments[30]).replace(tzinfo=UTC)
    for _ in range(3):
        source = warehouse.source().with_resources("projects")
        source.projects.apply_hints(incremental=dlt.sources.incremental("created", initial_value=start))
        do(warehouse.pipeline, source)
        wanted = [project for project in account.projects if project["created"] >= moments[30]]
        assert table_of(warehouse.pipeline, "projects") == expected_rows(wanted, ENDPOINTS["projects"].schema)
        happen(account)
    end = datetime.fromisoformat(moments[20]).replace(tzinfo=UTC)
    source = warehouse.source().with_resources("projects")
    source.projects.apply_hints(
        incremental=dlt.sources.incremental(
            "created", initial_value=datetime(2000, 1, 1, tzinfo=UTC), end_value=end, range_end="closed"
        )
    )
    do(warehouse.pipeline, source)
    assert warehouse.count("projects") == len(wanted) + 21


@pytest.mark.parametrize("mode", ["drop_sources", pytest.param("drop_resources", marks=pytest.mark.long), "drop_data"])
@pytest.mark.slow
def test_refresh(warehouse: Warehouse, account: Account, do: Do, mode: str) -> None:
    do(warehouse.pipeline, warehouse.source())
    ask(warehouse.pipeline, "INSERT INTO projects (id) VALUES ('0')")
    happen(account)
    do(warehouse.pipeline, warehouse.source(), refresh=mode)
    assert_equal(warehouse.pipeline, account)
    happen(account)
    do(warehouse.pipeline, warehouse.source())
    assert_equal(warehouse.pipeline, account)


@pytest.mark.slow
def test_one_resource_at_a_time(warehouse: Warehouse, account: Account, do: Do) -> None:
    for names in (["projects"], ["trainings"], ["projects"], ["trainings"]):
        do(warehouse.pipeline, warehouse.source().with_resources(*names))
        happen(account)
    do(warehouse.pipeline, warehouse.source())
    assert_equal(warehouse.pipeline, account)


def test_a_resource_without_its_source(warehouse: Warehouse, account: Account, do: Do) -> None:
    for _ in range(2):
        do(warehouse.pipeline, warehouse.source().projects)
        assert table_of(warehouse.pipeline, "projects") == expected_rows(account.projects, ENDPOINTS["projects"].schema)
        happen(account)


def test_dev_mode_stays_in_its_dataset(warehouse: Warehouse, account: Account, do: Do) -> None:
    pipeline = dlt.pipeline("toloka_dev", destination="duckdb", dataset_name="toloka_data", dev_mode=True)
    name = pipeline.dataset_name
    for _ in range(2):
        do(pipeline, warehouse.source())
        happen(account)
    warehouse.api.clear_requests()
    do(pipeline, warehouse.source())
    assert len(warehouse.api.requests) == 3
    assert pipeline.dataset_name == name
    assert_equal(pipeline, account)


def test_a_function_as_destination_gets_each_row(warehouse: Warehouse, account: Account, do: Do) -> None:
    got: list[str] = []

    @dlt.destination(batch_size=0, loader_file_format="parquet")
    def sink(path: Any, _table: Any) -> None:
        got.extend(pq.read_table(path)["id"].to_pylist())

    pipeline = dlt.pipeline("sink", destination=sink)
    do(pipeline, warehouse.source())
    do(pipeline, warehouse.source())
    assert sorted(got) == sorted(account.ids("projects") + account.ids("trainings"))
    happen(account)
    do(pipeline, warehouse.source())
    do(pipeline, warehouse.source())
    # it can't be asked: what is near the cursor comes once more
    assert set(got) == {*account.ids("projects"), *account.ids("trainings")}
    assert len(got) < 60 + 45 + 3 + 4


def test_a_table_that_another_pipeline_has_filled(warehouse: Warehouse, account: Account, clock: Clock, do: Do) -> None:
    def shared(api: Emulator) -> DltSource:
        source = toloka(token="secret", base_url=api.base_url).with_resources("projects")  # noqa: S106 - no secret
        source.projects.apply_hints(table_name="shared")
        return source

    with Emulator(Account(clock)) as api:
        for number in range(600):
            api.account.create_project(id=f"9{number:06}")
        other = dlt.pipeline("other", destination=dlt.destinations.duckdb("toloka.duckdb"), dataset_name="toloka_data")
        do(other, shared(api))
    done = do(warehouse.pipeline, shared(warehouse.api))
    assert warehouse.count("shared") == 600 + len(account.projects)
    assert done is None or [(report.name, report.rows) for report in done.resources] == [("projects", 60)]
    third = dlt.pipeline("third", destination=dlt.destinations.duckdb("toloka.duckdb"), dataset_name="toloka_data")
    do(third, shared(warehouse.api))
    assert warehouse.count("shared") == 600 + len(account.projects)


def test_a_report_counts_the_rows_of_any_table(warehouse: Warehouse, account: Account) -> None:
    account.create_project(created="soon")
    source = warehouse.source()
    source.projects.apply_hints(table_name="ours")
    report = load(warehouse.pipeline, source)
    assert [(one.name, one.rows, one.rejected) for one in report.resources] == [
        ("projects", 60, 1),
        ("trainings", 45, 0),
    ]


def test_a_map_meets_no_rejected_item(warehouse: Warehouse, account: Account, do: Do) -> None:
    misfit = account.create_project(created="soon")
    source = warehouse.source()
    source.projects.add_map(with_length).add_filter(lambda table: "public_name" in table.column_names)
    do(warehouse.pipeline, source)
    assert ask(warehouse.pipeline, "SELECT count(*), count(name_length) FROM projects") == [(60, 60)]
    assert ask(warehouse.pipeline, "SELECT id FROM rejected_items") == [(f'"{misfit["id"]}"',)]


def test_rows_of_a_map_in_tables_by_their_values(warehouse: Warehouse, account: Account, do: Do) -> None:
    source = warehouse.source()
    source.projects.add_map(lambda table: table.select(["id", "status"]).to_pylist())
    source.projects.apply_hints(table_name=lambda row: f"projects_{row['status'].lower()}")
    do(warehouse.pipeline, source)
    for status in ("ACTIVE", "ARCHIVED"):
        wanted = sorted(project["id"] for project in account.projects if project["status"] == status)
        found = ask(warehouse.pipeline, f"SELECT id FROM projects_{status}")  # noqa: S608 - a name of ours
        assert sorted(key for (key,) in found) == wanted


# filters, dates and places


@pytest.mark.parametrize("rescan", [pytest.param(24.0, marks=pytest.mark.long), None])
def test_a_wider_filter_brings_what_it_lets_in(
    warehouse: Warehouse, account: Account, do: Do, rescan: float | None
) -> None:
    filters: Any
    for filters in ({"projects": {"status": "ARCHIVED"}, "trainings": {"status": "OPEN"}}, {"projects": {}}, None):
        do(warehouse.pipeline, warehouse.source(filters=filters, rescan_after_hours=rescan))
    assert_equal(warehouse.pipeline, account)
    warehouse.api.clear_requests()
    do(warehouse.pipeline, warehouse.source(rescan_after_hours=rescan))
    assert len(warehouse.api.requests) == 3


@pytest.mark.parametrize("rescan", [pytest.param(24.0, marks=pytest.mark.long), None])
def test_an_earlier_start_brings_what_is_older(
    warehouse: Warehouse, account: Account, do: Do, rescan: float | None
) -> None:
    for start in ("2026-03-01", "2026-02-01", None, "2000-01-01"):
        do(warehouse.pipeline, warehouse.source(start_date=start, rescan_after_hours=rescan))
        happen(account)
    do(warehouse.pipeline, warehouse.source(rescan_after_hours=rescan))
    assert_equal(warehouse.pipeline, account)


def test_the_start_that_was_given_last_stays_in_force(warehouse: Warehouse, account: Account, do: Do) -> None:
    for start in ("2026-03-01", "2026-01-01", None):
        do(warehouse.pipeline, warehouse.source(start_date=start, rescan_after_hours=0))
    wanted = [project for project in account.projects if project["created"] > "2026-01-01"]
    assert 0 < len(wanted) < len(account.projects)
    assert table_of(warehouse.pipeline, "projects") == expected_rows(wanted, ENDPOINTS["projects"].schema)


@pytest.mark.slow
def test_one_pipeline_with_two_datasets_in_turn(warehouse: Warehouse, account: Account, do: Do) -> None:
    for dataset in ("one_data", "two_data", "one_data", "two_data"):
        happen(account)
        pipeline = dlt.pipeline("toloka", destination=dlt.destinations.duckdb("both.duckdb"), dataset_name=dataset)
        do(pipeline, warehouse.source())
        assert_equal(pipeline, account)
