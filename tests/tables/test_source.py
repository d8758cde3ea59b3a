"""The source end to end: an account on the emulator, loaded into DuckDB, compared field by field."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.schema.typing import C_DLT_LOAD_ID

from tests.conftest import NOON, Warehouse, assert_tables_equal_account
from toloka_source import ENDPOINTS, toloka
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import MISSING, Account, Clock, Emulator


@pytest.fixture
def large(api: Emulator, warehouse: Warehouse, clock: Clock) -> Warehouse:
    """Return an account of 1,200 projects and 900 trainings with many ties and gaps."""
    lifelike = Account.lifelike(projects=1_200, trainings=900, clock=clock)
    for name in DEFAULT_ENDPOINTS:
        for number, item in enumerate(getattr(lifelike, name)):
            if number % 3 == 0:
                item["created"] = "2025-07-01T00:00:00.123"
            api.account.add(name, item)
    return warehouse


def test_first_run_loads_every_object_field_by_field(large: Warehouse) -> None:
    report = large.load()
    assert [(resource.name, resource.rows) for resource in report.resources] == [
        ("projects", 1_200),
        ("trainings", 900),
    ]
    account = large.api.account
    assert len({len(item["id"]) for item in account.projects}) > 3
    assert any("last_started" not in item for item in account.trainings)
    assert_tables_equal_account(large)


@pytest.mark.slow
def test_a_limit_of_requests_a_second_loses_nothing(large: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator(large.api.account, rate_limit=3) as limited:
        monkeypatch.setattr(large, "api", limited)
        report = large.load()
        assert sum(resource.retries for resource in report.resources) > 0
        assert_tables_equal_account(large)


def test_idle_run_loads_nothing_and_asks_little(large: Warehouse) -> None:
    large.load()
    state, packages = large.pipeline.state, large.count("_dlt_loads")
    report = large.load()
    assert [resource.rows for resource in report.resources] == [0, 0]
    assert len(large.api.requests) == sum(resource.requests for resource in report.resources) == 3
    assert large.count("_dlt_loads") == packages
    assert large.pipeline.state["_state_version"] == state["_state_version"]


@pytest.mark.slow
def test_changes_that_a_cursor_sees(large: Warehouse, clock: Clock) -> None:
    account = large.api.account
    large.load()

    clock.advance(hours=2)
    project = account.create_project()
    fresh = account.create_training(project["id"])  # never started: only `created` tells of it
    report = large.load()
    assert [resource.rows for resource in report.resources] == [1, 1]
    assert_tables_equal_account(large)

    clock.advance(hours=2)
    account.start_training(fresh["id"])
    old = next(item for item in account.trainings if item["status"] == "CLOSED")
    account.start_training(old["id"])
    report = large.load()
    assert [resource.rows for resource in report.resources] == [0, 2]
    assert_tables_equal_account(large)


@pytest.mark.slow
def test_changes_that_no_cursor_sees_arrive_within_the_hour(large: Warehouse, clock: Clock) -> None:
    account = large.api.account
    large.load(rescan_after_hours="auto")
    account.archive_project(account.projects[0]["id"])
    account.edit_project(account.projects[1]["id"], public_name="Edited")
    account.close_training(next(item["id"] for item in account.trainings if item["status"] == "OPEN"))

    clock.advance(seconds=60)
    assert [resource.kind for resource in large.load(rescan_after_hours="auto").resources] == ["increment"] * 2
    clock.advance(seconds=59 * 60)
    report = large.load(rescan_after_hours="auto")
    assert [resource.kind for resource in report.resources] == ["re-scan"] * 2
    assert [(resource.rows, resource.changed, resource.unchanged) for resource in report.resources] == [
        (2, 2, 1_198),
        (1, 1, 899),
    ]
    assert_tables_equal_account(large)
    assert [resource.rows for resource in large.load(rescan_after_hours="auto").resources] == [0, 0]


@pytest.mark.slow
def test_rescan_every_run_or_never(warehouse: Warehouse, clock: Clock) -> None:
    warehouse.api.account.create_project(created="2026-01-01T00:00:00")
    warehouse.load()
    for hours, kind in ((0, "re-scan"), (None, "increment"), (float("inf"), "increment"), (99, "re-scan")):
        for _ in range(2):
            clock.advance(hours=100)
            assert {resource.kind for resource in warehouse.load(rescan_after_hours=hours).resources} == {kind}


def test_state_comes_back_from_the_destination(large: Warehouse, clock: Clock, own_folder: Path) -> None:
    large.load()
    shutil.rmtree(own_folder / "dlt")
    clock.advance(hours=1)
    large.api.account.create_project()
    again = Warehouse(large.api)
    report = again.load()
    assert [resource.rows for resource in report.resources] == [1, 0]
    assert_tables_equal_account(again)


def test_neighbouring_backfills_cover_their_union(large: Warehouse) -> None:
    account = large.api.account
    seam, last = datetime(2025, 7, 1, 0, 0, 0, 123_000, UTC), datetime(2026, 1, 1, tzinfo=UTC)
    for moment in ("2025-07-01T00:00:00.122", "2025-07-01T00:00:00.124", "2025-01-01T00:00:00", "2026-01-01T00:00:00"):
        account.create_project(created=moment)
        account.create_training(
            account.projects[0]["id"], created="2024-01-01T00:00:00", last_started=moment, status="OPEN"
        )
    large.load(start_date="2025-01-01", end_date=seam, rescan_after_hours=0)
    large.load(start_date=seam, end_date=last)

    def is_covered(item: dict[str, Any]) -> bool:
        times = [item["created"], item.get("last_started") or item["created"]]
        return any(time.ljust(23, "0") > "2025-01-01T00:00:00" for time in times) and any(
            datetime(2025, 1, 1, tzinfo=UTC) < datetime.fromisoformat(time).replace(tzinfo=UTC) <= last
            for time in times
        )

    for name in DEFAULT_ENDPOINTS:
        expected = {item["id"] for item in getattr(account, name) if is_covered(item)}
        assert {row["id"] for row in large.rows(name)} == expected
        assert large.count(name) == len(expected)
    assert not any(large.pipeline.state.get("sources", {}).values())


@pytest.mark.slow
def test_backfill_leaves_the_state_alone(large: Warehouse) -> None:
    large.load()
    before = large.pipeline.state["sources"]
    large.load(start_date="2025-01-01", end_date="2025-03-01")
    assert large.pipeline.state["sources"] == before
    large.load(end_date="2024-12-01")
    assert large.pipeline.state["sources"] == before
    assert_tables_equal_account(large)


@pytest.mark.slow
def test_start_date_loads_nothing_older_and_goes_on_from_there(large: Warehouse, clock: Clock) -> None:
    account = large.api.account
    start = date(2025, 12, 1)
    large.load(start_date=start)

    def expected() -> set[str]:
        return {item["id"] for item in account.projects if item["created"] > "2025-12-01T00:00:00"}

    assert 0 < len(expected()) < 1_000
    assert {row["id"] for row in large.rows("projects")} == expected()
    # neither a later run nor a whole scan brings older objects, with the date or without it
    clock.advance(hours=1)
    account.create_project()
    assert large.load(start_date=start).resources[0].rows == 1
    clock.advance(hours=30)
    report = large.load().resources[0]
    assert (report.kind, report.unchanged) == ("re-scan", len(expected()))
    assert {row["id"] for row in large.rows("projects")} == expected()


def test_start_date_knows_trainings_that_were_started_since(large: Warehouse) -> None:
    large.load(start_date="2026-01-01")
    trainings = large.api.account.trainings
    since = [item for item in trainings if max(item["created"], item.get("last_started", "")) > "2026-01-01T00:00:00"]
    assert any(item["created"] < "2026" for item in since)
    assert {row["id"] for row in large.rows("trainings")} == {item["id"] for item in since}


@pytest.mark.slow
def test_filters_narrow_every_kind_of_run(large: Warehouse, clock: Clock) -> None:
    account = large.api.account
    filters = {
        "projects": {"status": "ACTIVE", "id_gt": "1000", "created_gt": "2025-06-30"},
        "trainings": {"project_id": account.trainings[0]["project_id"]},
    }

    def assert_filtered() -> None:
        projects = [
            item
            for item in account.projects
            if item["status"] == "ACTIVE" and int(item["id"]) > 1_000 and item["created"] > "2025-06-30"
        ]
        assert 0 < len(projects) < 1_000
        assert {row["id"] for row in large.rows("projects")} == {item["id"] for item in projects}
        assert {row["project_id"] for row in large.rows("trainings")} == {account.trainings[0]["project_id"]}

    large.load(filters=filters)
    assert_filtered()
    clock.advance(hours=1)
    account.create_project()
    account.create_training(account.projects[-1]["id"])
    assert [resource.rows for resource in large.load(filters=filters).resources] == [1, 0]
    assert_filtered()
    assert all(request.params["status"] == "ACTIVE" for request in large.api.requests if request.resource == "projects")


@pytest.mark.slow
def test_the_cursor_is_the_time_of_the_first_page(warehouse: Warehouse, clock: Clock) -> None:
    account = warehouse.api.account
    for number in range(400):
        account.create_project(id=str(1_000 + number), created="2026-01-01T00:00:00")

    asked: list[str] = []

    def happen(_number: int, resource: str) -> None:
        asked.append(resource)
        # behind the page that was read already, so this run can't see it
        if resource == "projects" and asked.count("projects") == 2:
            clock.advance(hours=1)
            account.add("projects", account.projects[0] | {"id": "1", "created": "2026-03-10T13:00:00"})

    warehouse.api.before_request = happen
    warehouse.load()
    assert warehouse.count("projects") == 400
    warehouse.api.before_request = None
    assert warehouse.load().resources[0].rows == 1
    assert_tables_equal_account(warehouse)


@pytest.mark.slow
def test_a_cursor_in_the_future_skips_nothing(
    warehouse: Warehouse, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.api.account.create_project()
    clock.set(NOON + timedelta(days=30))
    warehouse.load()
    clock.set(NOON + timedelta(hours=1))
    warehouse.api.account.create_project()
    warehouse.load(rescan_after_hours=None)
    assert "in the future" in caplog.text
    assert_tables_equal_account(warehouse)
    clock.advance(hours=1)
    warehouse.api.account.create_project()
    assert warehouse.load(rescan_after_hours=None).resources[0].rows == 1


@pytest.mark.slow
def test_a_server_clock_ahead_of_ours_loses_nothing(warehouse: Warehouse, clock: Clock) -> None:
    clock.set(datetime.now(UTC) + timedelta(days=2))
    for _ in range(3):
        warehouse.api.account.create_project()
        warehouse.load()
        assert_tables_equal_account(warehouse)
        clock.advance(hours=1)


def test_odd_values_survive_unchanged(warehouse: Warehouse) -> None:
    account = warehouse.api.account
    account.create_project(
        id="12345678901234567890",
        public_name="Ünïcödé 漢字 😀 'single' \"double\" \\ back\nline\ttab \u2028 \x7f",
        public_description="",
        private_comment=None,
        metadata={},
        quality_control={"configs": []},
        task_spec={"input_spec": {"😀": {"type": "string"}}, "n": [1.10, -0.0, 1e22, 12345678901234567890, None]},
        owner={},
        max_active_assignments_count=2**63 - 1,
        created="2022-01-22T07:50:14",
    )
    account.create_project(owner=None, created="2022-01-22T07:50:14.123456", metadata=None, task_spec=MISSING)
    account.create_project(**dict.fromkeys(("owner", "status", "public_name", "created"), MISSING))
    account.create_training("1", last_started=None, assignment_max_duration_seconds=0)
    warehouse.load()
    assert_tables_equal_account(warehouse)


def test_unknown_fields_are_kept(warehouse: Warehouse, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    account = warehouse.api.account
    account.create_project()
    account.create_project(
        **{"brandNew": {"a": [1]}, "owner": {"id": "1", "name": "x"}, "_dlt_id": 7, "Created": "no", "a'; DROP--": 0}
    )
    warehouse.load()
    clock.advance(hours=1)
    account.create_project(brandNew="text", another=None)
    warehouse.load()

    rows = warehouse.rows("projects")
    assert [row["brand_new"] for row in rows] == [None, '{"a":[1]}', '"text"']
    assert [row["owner__name"] for row in rows] == [None, '"x"', None]
    assert [row["a_dropxx"] for row in rows] == [None, "0", None]
    assert [row["another"] for row in rows] == [None] * 3
    (dlt_id,) = (name for name in rows[0] if name.startswith("field_dlt_id"))
    (created,) = (name for name in rows[0] if name.startswith("field_created"))
    assert (rows[1][dlt_id], rows[1][created]) == ("7", '"no"')
    assert rows[1]["created"] == NOON
    said = [record.message for record in caplog.records if "not documented" in record.message]
    assert len(said) == 2
    assert "brand_new" in said[0]


def test_objects_that_do_not_fit_go_to_a_table_of_their_own(warehouse: Warehouse) -> None:
    account = warehouse.api.account
    for fields in ({}, {"created": "soon"}, {"max_active_assignments_count": "7"}, {"sensitive": 1}, {"owner": "me"}):
        account.create_project(**fields)
    report = warehouse.load()
    assert (report.resources[0].rows, report.resources[0].rejected) == (1, 4)
    assert warehouse.count("projects") == 1
    with warehouse.pipeline.sql_client() as client:
        rejected = client.execute_sql("SELECT id, field, resource, item->>'$.status' FROM rejected_items ORDER BY id")
    assert [row[1:] for row in rejected or ()] == [
        (field, "projects", "ACTIVE") for field in ("created", "max_active_assignments_count", "sensitive", "owner")
    ]
    assert [row[0].strip('"') for row in rejected or ()] == [item["id"] for item in account.projects[1:]]


def test_an_empty_account_gets_its_tables(warehouse: Warehouse, clock: Clock) -> None:
    warehouse.load()
    assert warehouse.rows("projects") == warehouse.rows("trainings") == []
    columns = warehouse.pipeline.default_schema.get_table_columns("trainings")
    assert list(columns) == [*ENDPOINTS["trainings"].schema.names, schemas.HASH.name, C_DLT_LOAD_ID]
    clock.advance(hours=1)
    warehouse.load(rescan_after_hours=None)
    assert len(warehouse.api.requests) == 3
    warehouse.api.account.create_project()
    warehouse.load()
    assert_tables_equal_account(warehouse)


def test_a_run_shows_no_warning(large: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    large.load()
    large.load(rescan_after_hours=0)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize(
    ("token", "sent"),
    [("abc", "OAuth abc"), ("OAuth abc", "OAuth abc"), ("ApiKey a.b-c", "ApiKey a.b-c"), (" abc\n", "OAuth abc")],
)
def test_token_is_sent_as_the_api_wants_it(clock: Clock, token: str, sent: str) -> None:
    with Emulator(Account(clock), tokens={sent.split()[1]}) as api:
        Warehouse(api).load(token=token)
        assert {request.headers["authorization"] for request in api.requests} == {sent}


def test_building_the_source_makes_no_request() -> None:
    source = toloka(token="placeholder", base_url="http://127.0.0.1:9")  # noqa: S106 - nothing secret
    assert list(source.resources) == ["projects", "trainings"]
    assert source.projects.compute_table_schema()["write_disposition"] == "merge"
    assert "task_spec" in source.projects.compute_table_schema()["columns"]


def test_both_resources_can_be_chosen(warehouse: Warehouse) -> None:
    warehouse.api.account.create_project()
    source = warehouse.source().with_resources("trainings")
    dlt.pipeline("other", destination="duckdb", dataset_name="toloka_data").run(source)
    assert {request.resource for request in warehouse.api.requests} == {"trainings"}
