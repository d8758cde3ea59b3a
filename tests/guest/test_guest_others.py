"""What is others' stays: their packages, tables, state, warnings and hints; and what `load` refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest

from tests.conftest import Warehouse, happen
from tests.guest.features import Do, ask, assert_equal
from toloka_source import errors, load, toloka
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.emulator import Account, Emulator

pytest_plugins = ["tests.guest.fixtures", "tests.postgres"]


@dlt.source(name="elsewhere")
def elsewhere() -> Any:
    """A source of the user's, whose resource is called as one of ours."""

    @dlt.resource(name="projects", columns=[{"name": "notes", "data_type": "json"}])
    def projects() -> Iterator[Any]:
        yield pa.table({"id": ["1", "2"], "notes": ["{}", "{}"]})

    return projects.apply_hints(table_name="others")


@pytest.mark.parametrize("is_normalized", [False, True], ids=["extracted", "normalized"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first load", "later load"])
@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_load_leaves_the_source_as_it_is(warehouse: Warehouse, account: Account) -> None:
    account.create_project(brand_new={"a": 1})
    source = warehouse.source()
    source.trainings.apply_hints(write_disposition={"disposition": "merge", "strategy": "scd2"})

    def seen() -> list[Any]:
        tables = [resource.compute_table_schema() for resource in source.resources.values()]
        for column in [column for table in tables for column in table["columns"].values()]:
            column.pop("incremental", None)  # dlt's own mark of the cursor, which a copy shares with its original
        return [source.schema.to_dict(), *tables]

    before = seen()
    for _ in range(2):
        load(warehouse.pipeline, source)
        assert seen() == before
        happen(account)


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


# PostgreSQL and views


@pytest.mark.slow
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
    elsewhere = Warehouse(api, "again").pipeline
    do(elsewhere, source)
    assert source.projects.compute_table_schema().get("file_format") is None
    assert elsewhere.default_schema.tables["projects"].get("file_format") is None


def test_a_file_format_of_the_users_own_stays(
    api: Emulator, account: Account, postgres_database: str, warehouse: Warehouse
) -> None:
    account.create_project(private_comment="")
    destination = dlt.destinations.postgres(postgres_database)
    pipeline = dlt.pipeline("toloka", destination=destination, dataset_name="toloka_data")
    source = warehouse.source()
    pipeline.run(source)
    source.projects.apply_hints(file_format="csv")
    pipeline.run(source)
    assert source.projects.compute_table_schema()["file_format"] == "csv"
    assert source.trainings.compute_table_schema()["file_format"] == "insert_values"
    assert api.requests


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


@pytest.mark.slow
def test_a_refresh_by_load_passes_views_of_any_name(api: Emulator, account: Account, postgres_database: str) -> None:
    destination = dlt.destinations.postgres(postgres_database)
    pipeline = dlt.pipeline("toloka", destination=destination, dataset_name="toloka_data")
    for views in ("for_analysts", True, False):
        refresh: Any = None if views == "for_analysts" else "drop_sources"
        load(pipeline, toloka(token="secret", base_url=api.base_url), refresh=refresh, views=views)  # noqa: S106 - no secret
        happen(account)
    for name in ("for_analysts", "toloka_bi"):
        assert ask(pipeline, f"SELECT count(*) FROM {name}.projects") == [(len(account.projects) - 1,)]  # noqa: S608


@pytest.mark.slow
def test_views_in_a_dataset_of_another_name(api: Emulator, account: Account, warehouse: Warehouse) -> None:
    load(warehouse.pipeline, warehouse.source(), views="for_analysts")
    found = ask(warehouse.pipeline, "SELECT schema_name, count(*) FROM duckdb_views() WHERE NOT internal GROUP BY 1")
    assert found == [("for_analysts", len(VIEWS))]
    assert ask(warehouse.pipeline, "SELECT count(*) FROM for_analysts.projects") == [(len(account.projects),)]
    load(warehouse.pipeline, warehouse.source(), views=False)
    load(warehouse.pipeline, warehouse.source(), views=True)
    assert ask(warehouse.pipeline, "SELECT count(*) FROM toloka_bi.projects") == [(len(account.projects),)]
    assert api.requests
