"""What dlt is told of columns that hold the ids of other tables: it joins by it, and draws it."""

from typing import Any

import dlt
import pytest

from tests.conftest import Warehouse
from toloka_source import load
from toloka_source.emulator import Clock

TO_PROJECTS = {
    "cardinality": "many_to_one",
    "columns": ["project_id"],
    "referenced_table": "projects",
    "referenced_columns": ["id"],
}


@pytest.fixture
def warehouse(warehouse: Warehouse) -> Warehouse:
    """Return a pipeline on an account of two projects, one of them with two trainings."""
    account = warehouse.api.account
    account.create_project(public_name="without trainings")
    project = account.create_project(public_name="with trainings")
    for _ in range(2):
        account.create_training(project["id"])
    return warehouse


def references(pipeline: dlt.Pipeline) -> Any:
    """Return what the pipeline's schema says of trainings; dlt draws it, else it raises."""
    pipeline.default_schema.to_dot()
    return pipeline.default_schema.tables["trainings"].get("references")


@pytest.mark.parametrize("runs", [load, dlt.Pipeline.run])
def test_trainings_refer_to_projects(warehouse: Warehouse, runs: Any) -> None:
    runs(warehouse.pipeline, warehouse.source())
    assert references(warehouse.pipeline) == [TO_PROJECTS]
    assert 'trainings }|--|| projects : ""' in warehouse.pipeline.default_schema.to_mermaid()


def test_dlt_joins_by_it(warehouse: Warehouse) -> None:
    warehouse.load()
    joined = warehouse.pipeline.dataset().trainings.join("projects").select("projects__public_name")
    assert joined.fetchall() == [("with trainings",)] * 2


@pytest.mark.slow
def test_later_runs_leave_the_schema_as_it_is(warehouse: Warehouse, clock: Clock) -> None:
    versions = []
    for hours in range(1, 4):
        clock.advance(hours=hours)
        warehouse.api.account.create_training("1")
        warehouse.load()
        versions.append(warehouse.pipeline.default_schema.version_hash)
    # the first load into DuckDB appends, the others merge
    assert versions[0] != versions[1] == versions[2]


def test_trainings_alone_refer_to_nothing(warehouse: Warehouse, clock: Clock) -> None:
    load(warehouse.pipeline, warehouse.source().with_resources("trainings"))
    assert references(warehouse.pipeline) is None
    clock.advance(hours=1)
    warehouse.api.account.create_training("1")
    warehouse.load()
    assert references(warehouse.pipeline) == [TO_PROJECTS]


def test_a_table_of_another_name_is_referred_to_by_that(warehouse: Warehouse) -> None:
    source = warehouse.source()
    source.projects.apply_hints(table_name="Our Projects")
    load(warehouse.pipeline, source)
    assert references(warehouse.pipeline) == [TO_PROJECTS | {"referenced_table": "our_projects"}]


def test_tables_named_row_by_row_are_not_referred_to(warehouse: Warehouse) -> None:
    source = warehouse.source()
    source.projects.add_map(lambda table: table.select(["id", "status"]).to_pylist())
    source.projects.apply_hints(table_name=lambda row: f"projects_{row['status'].lower()}")
    load(warehouse.pipeline, source)
    assert references(warehouse.pipeline) is None
