"""A guest in dlt: what dlt offers works beside this source, with `run` and `load` alike, and what is others' stays."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from tests.conftest import NOON, Warehouse, expected_rows
from toloka_source import ENDPOINTS, LoadReport, errors, load, toloka
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.failures import causes
from toloka_source.run import TABLE_ROWS

pytest_plugins = ["tests.postgres"]

Do = Callable[..., Any]
"""Runs a pipeline on a source, either way."""


def _run(pipeline: dlt.Pipeline, source: Any, **arguments: Any) -> None:
    pipeline.run(source, **arguments)


@pytest.fixture(params=[_run, load], ids=["run", "load"])
def do(request: pytest.FixtureRequest) -> Do:
    """Return each way to run a pipeline in turn."""
    made: Do = request.param
    return made


@pytest.fixture
def account(api: Emulator, clock: Clock) -> Account:
    """Return the served account, with some history."""
    lifelike = Account.lifelike(projects=60, trainings=45, clock=clock)
    for name in ENDPOINTS:
        for item in getattr(lifelike, name):
            api.account.add(name, item)
    return api.account


def happen(account: Account) -> None:
    """Let two hours pass in which a project and a training are created, and an older training is started."""
    closed = next(training["id"] for training in account.trainings if training["status"] == "CLOSED")
    account.clock.advance(hours=1)
    account.create_training(account.create_project()["id"])
    account.start_training(closed)
    account.clock.advance(hours=1)


def ask(pipeline: dlt.Pipeline, query: str) -> list[tuple[Any, ...]]:
    """Return a query's rows."""
    with pipeline.sql_client() as client:
        return [tuple(row) for row in client.execute_sql(query) or ()]


def table_of(pipeline: dlt.Pipeline, table: str, where: str = "true", schema: str = "projects") -> list[dict[str, Any]]:
    """Return a table's rows as `expected_rows` has them, without the columns that aren't the API's."""
    fields = ENDPOINTS[schema].schema
    with (
        pipeline.sql_client() as client,
        client.execute_query(f"SELECT * FROM {table} WHERE {where} ORDER BY length(id), id") as cursor,  # noqa: S608
    ):
        names = [column[0].lower() for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [
        {
            column.name: json.loads(row[column.name])
            if b"json" in (column.metadata or {}) and isinstance(row[column.name], str)
            else row[column.name]
            for column in fields
        }
        for row in found
    ]


def assert_equal(pipeline: dlt.Pipeline, account: Account, tables: Mapping[str, str] | None = None) -> None:
    """Compare tables with the account, field by field."""
    for name, endpoint in ENDPOINTS.items():
        table = (tables or {}).get(name, name)
        assert table_of(pipeline, table, schema=name) == expected_rows(getattr(account, name), endpoint.schema)


# what dlt offers


@dataclass(frozen=True)
class Feature:
    """Something of dlt's that leaves each object in its newest form in the tables.

    Attributes:
        prepare: Applies it to a source.
        environment: Settings that it consists of.
        tables: Names of tables that differ from the resources'.
    """

    prepare: Callable[[DltSource], object] = lambda _: None
    environment: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)


def _each(source: DltSource, **hints: Any) -> None:
    for resource in source.resources.values():
        resource.apply_hints(**hints)


def _merge(strategy: str) -> dict[str, str]:
    return {"disposition": "merge", "strategy": strategy}


def _with_length(table: pa.Table) -> pa.Table:
    return table.append_column("name_length", pa.array([len(name or "") for name in table["public_name"].to_pylist()]))


def _transform(source: DltSource) -> None:
    @dlt.transformer(data_from=source.projects, name="names")
    def names(table: pa.Table) -> Iterator[Any]:
        yield [{"name": name} for name in table["public_name"].to_pylist()]

    source.resources.add(names)


def _contract(source: DltSource) -> None:
    source.schema_contract = {"tables": "evolve", "columns": "freeze", "data_type": "freeze"}


FEATURES = {
    "nothing": Feature(),
    "add_filter": Feature(lambda source: source.projects.add_filter(lambda table: table.num_rows > 0)),
    "add_map": Feature(lambda source: source.projects.add_map(_with_length)),
    "add_limit that isn't reached": Feature(lambda source: source.projects.add_limit(100)),
    "a transformer": Feature(_transform),
    "table_name": Feature(lambda source: source.projects.apply_hints(table_name="ours"), tables={"projects": "ours"}),
    "a column's hint": Feature(lambda source: source.projects.apply_hints(columns=[{"name": "status", "sort": True}])),
    "upsert": Feature(lambda source: _each(source, write_disposition=_merge("upsert"))),
    "delete-insert": Feature(lambda source: _each(source, write_disposition=_merge("delete-insert"))),
    "replace": Feature(lambda source: _each(source, write_disposition="replace")),
    "contracts": Feature(_contract),
    "naming direct": Feature(environment={"SCHEMA__NAMING": "direct"}),
    "naming sql_cs_v1": Feature(environment={"SCHEMA__NAMING": "sql_cs_v1"}),
    "one worker": Feature(environment={"EXTRACT__WORKERS": "1"}),
    "fifo": Feature(environment={"EXTRACT__NEXT_ITEM_MODE": "fifo"}),
    "dlt's own load id": Feature(environment={"NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true"}),
    "no state from the destination": Feature(environment={"RESTORE_FROM_DESTINATION": "false"}),
}


@pytest.mark.parametrize("is_one_object", [False, True], ids=["fresh sources", "one source"])
@pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES.keys())
def test_a_feature_of_dlt(
    warehouse: Warehouse,
    account: Account,
    do: Do,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    feature: Feature,
    *,
    is_one_object: bool,
) -> None:
    for name, value in feature.environment.items():
        monkeypatch.setenv(name, value)
    pipeline = Warehouse(warehouse.api).pipeline
    source = warehouse.source()
    feature.prepare(source)
    before = [(resource.write_disposition, resource.table_name) for resource in source.resources.values()]
    for _ in range(3):
        do(pipeline, source)
        assert_equal(pipeline, account, feature.tables)
        happen(account)
        if not is_one_object:
            source = warehouse.source()
            feature.prepare(source)
    do(pipeline, source)
    warehouse.api.clear_requests()
    do(pipeline, source)
    assert_equal(pipeline, account, feature.tables)
    if feature is not FEATURES["replace"]:
        assert len(warehouse.api.requests) == 3  # it went on from the cursor
    assert [(resource.write_disposition, resource.table_name) for resource in source.resources.values()] == before
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("limit", [1, 2])
def test_a_limit_promises_nothing(warehouse: Warehouse, account: Account, do: Do, limit: int) -> None:
    for _ in range(3 * TABLE_ROWS):
        account.create_project()
    account.clock.advance(hours=1)  # so that none of them is near the cursor
    source = warehouse.source()
    source.projects.add_limit(limit)
    done = do(warehouse.pipeline, source)
    assert limit * TABLE_ROWS <= warehouse.count("projects") < len(account.projects)
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


def test_append_keeps_each_version(warehouse: Warehouse, account: Account, do: Do) -> None:
    for _ in range(3):
        source = warehouse.source()
        _each(source, write_disposition="append")
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
        _each(source, write_disposition=_merge("insert-only"))
        do(warehouse.pipeline, source)
        happen(account)
    found = table_of(warehouse.pipeline, "trainings", schema="trainings")
    assert found == expected_rows([*first, account.trainings[len(first)]], ENDPOINTS["trainings"].schema)


@pytest.mark.parametrize("is_one_object", [False, True], ids=["fresh sources", "one source"])
def test_scd2_keeps_a_row_of_each_version(
    warehouse: Warehouse, account: Account, do: Do, *, is_one_object: bool
) -> None:
    source = warehouse.source()
    for number in range(4):
        if number == 0 or not is_one_object:
            source = warehouse.source()
            _each(source, write_disposition=_merge("scd2"))
        do(warehouse.pipeline, source)
        for name, endpoint in ENDPOINTS.items():
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


@pytest.mark.parametrize("mode", ["drop_sources", "drop_resources", "drop_data"])
def test_refresh(warehouse: Warehouse, account: Account, do: Do, mode: str) -> None:
    do(warehouse.pipeline, warehouse.source())
    ask(warehouse.pipeline, "INSERT INTO projects (id) VALUES ('0')")
    happen(account)
    do(warehouse.pipeline, warehouse.source(), refresh=mode)
    assert_equal(warehouse.pipeline, account)
    happen(account)
    do(warehouse.pipeline, warehouse.source())
    assert_equal(warehouse.pipeline, account)


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


def test_a_function_as_destination_gets_each_row_once(warehouse: Warehouse, account: Account, do: Do) -> None:
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
    assert len(got) == 60 + 45 + 3


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
    source.projects.add_map(_with_length).add_filter(lambda table: "public_name" in table.column_names)
    do(warehouse.pipeline, source)
    assert ask(warehouse.pipeline, "SELECT count(*), count(name_length) FROM projects") == [(60, 60)]
    assert ask(warehouse.pipeline, "SELECT id FROM rejected_items") == [(f'"{misfit["id"]}"',)]


def test_unknown_fields_stay_out_of_the_next_run(warehouse: Warehouse, account: Account, clock: Clock, do: Do) -> None:
    account.create_project(brand_new={"a": 1})
    source = warehouse.source()
    do(warehouse.pipeline, source)
    assert ask(warehouse.pipeline, "SELECT brand_new FROM projects WHERE brand_new IS NOT NULL") == [('{"a":1}',)]
    for item in account.projects:
        item.pop("brand_new", None)
    with Emulator(Account(clock)) as api:
        api.account.create_project()
        other = dlt.pipeline("other", destination="duckdb", dataset_name="other_data")
        do(other, toloka(token="secret", base_url=api.base_url))  # noqa: S106 - no secret
        assert "brand_new" not in other.default_schema.tables["projects"]["columns"]


# filters and dates


@pytest.mark.parametrize("rescan", [24.0, None])
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


@pytest.mark.parametrize("rescan", [24.0, None])
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


def test_one_pipeline_with_two_datasets_in_turn(warehouse: Warehouse, account: Account, do: Do) -> None:
    for dataset in ("one_data", "two_data", "one_data", "two_data"):
        happen(account)
        pipeline = dlt.pipeline("toloka", destination=dlt.destinations.duckdb("both.duckdb"), dataset_name=dataset)
        do(pipeline, warehouse.source())
        assert_equal(pipeline, account)


# what is others'


@dlt.source(name="elsewhere")
def elsewhere() -> Any:
    """A source of the user's, whose resource is called as one of ours."""

    @dlt.resource(name="projects", columns=[{"name": "notes", "data_type": "json"}])
    def projects() -> Iterator[Any]:
        yield pa.table({"id": ["1", "2"], "notes": ["{}", "{}"]})

    return projects.apply_hints(table_name="others")


@pytest.mark.parametrize("is_normalized", [False, True], ids=["extracted", "normalized"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first load", "later load"])
def test_a_package_of_another_source_is_loaded(
    warehouse: Warehouse, account: Account, *, is_normalized: bool, is_first: bool
) -> None:
    if not is_first:
        warehouse.load()
        happen(account)
    warehouse.pipeline.extract(elsewhere())
    if is_normalized:
        warehouse.pipeline.normalize()
    warehouse.load()
    assert ask(warehouse.pipeline, "SELECT id FROM others ORDER BY 1") == [("1",), ("2",)]
    assert_equal(warehouse.pipeline, account)


def test_a_package_of_another_source_outlives_our_refusal(warehouse: Warehouse, account: Account) -> None:
    for _ in range(2):
        warehouse.load()
        happen(account)
    ask(warehouse.pipeline, "ALTER TABLE projects RENAME public_name TO name")
    warehouse.pipeline.run(elsewhere())
    with pytest.raises(errors.DestinationError):
        warehouse.load()
    warehouse.pipeline.run(elsewhere())
    assert ask(warehouse.pipeline, "SELECT count(*) FROM others") == [(4,)]
    ask(warehouse.pipeline, "ALTER TABLE projects RENAME name TO public_name")
    warehouse.load()
    assert_equal(warehouse.pipeline, account)


def test_the_state_of_another_source_stays(warehouse: Warehouse, account: Account) -> None:
    @dlt.resource
    def counted() -> Iterator[Any]:
        state = dlt.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"run": state["runs"]}

    for _ in range(3):
        warehouse.pipeline.run(counted())
        warehouse.load()
        happen(account)
    assert ask(warehouse.pipeline, "SELECT run FROM counted ORDER BY 1") == [(1,), (2,), (3,)]


def test_warnings_of_others_are_heard(
    warehouse: Warehouse, account: Account, do: Do, caplog: pytest.LogCaptureFixture
) -> None:
    do(warehouse.pipeline, warehouse.source())
    warehouse.pipeline.run([elsewhere(), warehouse.source(rescan_after_hours=0)])
    assert len(account.projects) == warehouse.count("projects")
    (said,) = [record.message for record in caplog.records if record.name == "dlt"]
    assert said.startswith("In resource: projects, when merging arrow schema with dlt schema")


def test_a_database_that_was_restored_is_read_on_from_there(warehouse: Warehouse, account: Account) -> None:
    warehouse.load()
    kept = Path("toloka.duckdb").read_bytes()
    for _ in range(3):
        happen(account)
        warehouse.load()
    Path("toloka.duckdb").write_bytes(kept)
    report = warehouse.load(rescan_after_hours=None)
    assert [resource.rows for resource in report.resources] == [3, 6]
    assert_equal(warehouse.pipeline, account)


# arguments


def test_what_load_cannot_work_with(warehouse: Warehouse) -> None:
    for pipeline, source, said in (
        (dlt.pipeline("nowhere"), warehouse.source(), "destination = None: name one"),
        ("toloka", warehouse.source(), "pipeline = 'toloka': must be"),
        (warehouse.pipeline, toloka, "source = .*: must be what toloka"),
        (warehouse.pipeline, [warehouse.source()], "source = .*: must be what toloka"),
        (warehouse.pipeline, dlt.resource([{"id": 1}], name="mine"), "source = .*: must be what toloka"),
    ):
        with pytest.raises(errors.ConfigurationError, match=said) as caught:
            load(pipeline, source)  # type: ignore[arg-type]
        assert len(str(caught.value)) <= 300
    for views in ("My Views", "a" * 80, "toloka_data", ""):
        with pytest.raises(errors.ConfigurationError, match="views = "):
            load(warehouse.pipeline, warehouse.source(), views=views)
    for wrong in (True, 0, 2.0, "8"):
        with pytest.raises(errors.ConfigurationError, match="max_concurrency = "):
            warehouse.source(max_concurrency=wrong)


# when one list fails

FAULTS: Mapping[str, tuple[Callable[[], Fault], type[errors.TolokaError]]] = {
    "400": (lambda: Fault.status(400), errors.RequestError),
    "401": (lambda: Fault.status(401), errors.AuthenticationError),
    "403": (lambda: Fault.status(403), errors.PermissionDeniedError),
    "429, the day's quota": (lambda: Fault.status(429, {"interval": "DAY"}), errors.QuotaError),
    "503, Retry-After 400": (lambda: Fault.status(503, retry_after=400), errors.ServerError),
    "no page": (lambda: Fault.replace_page(lambda page: page["items"]), errors.ProtocolError),
}
WAITS = {
    "429, Retry-After 25": lambda: Fault.status(429, retry_after=25),
    "no answer": lambda: Fault.hang(25),
    "a body that drips": lambda: Fault.drip(0.5, 1_000),
}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
@pytest.mark.parametrize(("fault", "error"), FAULTS.values(), ids=FAULTS.keys())
def test_a_list_that_fails_ends_the_one_that_waits(
    warehouse: Warehouse,
    do: Do,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[], Fault],
    error: type[errors.TolokaError],
    wait: Callable[[], Fault],
    workers: int,
) -> None:
    warehouse.api.fail(wait(), on="projects", times=None)
    warehouse.api.fail(fault(), on="trainings", times=None)
    started = time.monotonic()
    with pytest.raises((PipelineStepFailed, errors.TolokaError)) as caught:
        do(warehouse.pipeline, warehouse.source(max_concurrency=workers))
    assert time.monotonic() - started < 3
    chain = list(causes(caught.value))
    assert any(isinstance(cause, error) for cause in chain)
    assert do is not load or type(caught.value) is error
    assert not any("already executing" in str(cause) for cause in chain)
    assert "thread pool" not in caplog.text


@pytest.mark.usefixtures("account")
def test_what_the_user_does_ends_the_waits_too(warehouse: Warehouse, do: Do) -> None:
    warehouse.api.fail(Fault.status(429, retry_after=25), on="projects")

    def break_off(_table: pa.Table) -> pa.Table:
        raise KeyError("mine")

    source = warehouse.source()
    source.trainings.add_map(break_off)
    started = time.monotonic()
    with pytest.raises(PipelineStepFailed, match="mine"):
        do(warehouse.pipeline, source)
    assert time.monotonic() - started < 3


# PostgreSQL


def test_empty_texts_reach_postgres(api: Emulator, account: Account, postgres_database: str, do: Do) -> None:
    account.create_project(private_comment="", public_description=None)
    pipeline = dlt.pipeline(
        "toloka", destination=dlt.destinations.postgres(postgres_database), dataset_name="toloka_data"
    )
    source = toloka(token="secret", base_url=api.base_url)  # noqa: S106 - no secret
    source.projects.add_limit(1)
    do(pipeline, source)
    query = "SELECT private_comment, public_description FROM projects WHERE private_comment = ''"
    assert ask(pipeline, query) == [("", None)]
    account.create_project(private_comment="", created="")
    do(pipeline, toloka(token="secret", base_url=api.base_url))  # noqa: S106 - no secret
    assert ask(pipeline, query) == [("", None)]
    assert ask(pipeline, "SELECT item->>'private_comment' FROM rejected_items") == [("",)]
    # the hint that this takes is no matter of the next run's
    do(Warehouse(api, "again").pipeline, source)
    assert source.projects.compute_table_schema().get("file_format") is None


def test_a_refresh_of_dlts_own_after_a_load_into_postgres(
    api: Emulator, account: Account, postgres_database: str
) -> None:
    pipeline = dlt.pipeline(
        "toloka", destination=dlt.destinations.postgres(postgres_database), dataset_name="toloka_data"
    )
    source = toloka(token="secret", base_url=api.base_url)  # noqa: S106 - no secret
    load(pipeline, source)
    happen(account)
    pipeline.run(toloka(token="secret", base_url=api.base_url), refresh="drop_resources")  # noqa: S106 - no secret
    assert ask(pipeline, "SELECT count(*) FROM projects") == [(len(account.projects),)]
    assert not pipeline.has_pending_data


def test_a_refresh_by_load_passes_views_of_any_name(api: Emulator, account: Account, postgres_database: str) -> None:
    destination = dlt.destinations.postgres(postgres_database)
    pipeline = dlt.pipeline("toloka", destination=destination, dataset_name="toloka_data")
    for views in ("for_analysts", True, False):
        refresh: Any = None if views == "for_analysts" else "drop_sources"
        load(pipeline, toloka(token="secret", base_url=api.base_url), refresh, views=views)  # noqa: S106 - no secret
        happen(account)
    for name in ("for_analysts", "toloka_bi"):
        assert ask(pipeline, f"SELECT count(*) FROM {name}.projects") == [(len(account.projects) - 1,)]  # noqa: S608


def test_views_in_a_dataset_of_another_name(api: Emulator, account: Account, warehouse: Warehouse) -> None:
    load(warehouse.pipeline, warehouse.source(), views="for_analysts")
    found = ask(warehouse.pipeline, "SELECT schema_name, count(*) FROM duckdb_views() WHERE NOT internal GROUP BY 1")
    assert found == [("for_analysts", 5)]
    assert ask(warehouse.pipeline, "SELECT count(*) FROM for_analysts.projects") == [(len(account.projects),)]
    load(warehouse.pipeline, warehouse.source(), views=False)
    load(warehouse.pipeline, warehouse.source(), views=True)
    assert ask(warehouse.pipeline, "SELECT count(*) FROM toloka_bi.projects") == [(len(account.projects),)]
    assert api.requests
