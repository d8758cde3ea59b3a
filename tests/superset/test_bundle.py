"""The bundle against the views: each dataset has just the columns that its query brings, under their own types."""

import runpy
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]

from tests.conftest import Warehouse
from tests.superset.superset_server import FILES
from toloka_source.emulator import Account, Emulator

BUNDLE = FILES / "bundle"
TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "DOUBLE": "DOUBLE PRECISION"}
"""Of DuckDB's, those that have another name here."""


def test_columns() -> None:
    with Emulator(Account.lifelike(40, others=True)) as api:
        warehouse = Warehouse(api)
        warehouse.views = True
        warehouse.load(resources="all")
    paths = sorted(BUNDLE.glob("**/datasets/*.yaml"))
    assert len(paths) == 12
    with duckdb.connect("toloka.duckdb", read_only=True) as connection:
        for path in paths:
            assert_columns(yaml.safe_load(path.read_text()), connection)


def assert_columns(dataset: dict[str, Any], connection: duckdb.DuckDBPyConnection) -> None:
    """Compare the columns of a dataset with those that its query brings."""
    query = dataset.get("sql", f"FROM {dataset['schema']}.{dataset['table_name']}")
    found = {name: TYPES.get(kind, kind) for name, kind, *_ in connection.sql(f"DESCRIBE {query}").fetchall()}
    columns = [column for column in dataset["columns"] if "expression" not in column]
    assert {column["column_name"]: column["type"] for column in columns} == found
    times = {column["column_name"] for column in columns if column.get("is_dttm")}
    assert times == {name for name, kind in found.items() if kind in ("TIMESTAMPTZ", "DATE")}


def dashboard_with(views: Collection[str], folder: Path) -> tuple[dict[str, Any], Path]:
    """Return the layout of the dashboard for a warehouse with these views, and the bundle that it is in."""
    bundle = shutil.copytree(BUNDLE, folder / "bundle")
    runpy.run_path(str(FILES / "start.py"))["_add_lists"](bundle, views)
    return yaml.safe_load((bundle / "dashboards" / "toloka.yaml").read_text())["position"], bundle


def test_without_lists_the_bundle_stays_as_it_is(tmp_path: Path) -> None:
    _, bundle = dashboard_with({"projects", "trainings", "skills"}, tmp_path)
    for path in BUNDLE.rglob("*.yaml"):
        assert (bundle / path.relative_to(BUNDLE)).read_bytes() == path.read_bytes()
    assert len([*bundle.rglob("*.yaml")]) == len([*BUNDLE.rglob("*.yaml")])


@pytest.mark.parametrize(
    ("views", "rows"),
    [
        ({"skills_held"}, [["CHART-23"]]),
        ({"pools", "restrictions"}, [["CHART-19", "CHART-20"], ["CHART-24"]]),
        (
            {"pools", "bonuses", "skills_held", "restrictions"},
            [["CHART-19", "CHART-20"], ["CHART-21", "CHART-22"], ["CHART-23", "CHART-24"]],
        ),
    ],
    ids=["one list", "two lists", "all lists"],
)
def test_the_second_tab_has_the_lists_that_are_there(views: set[str], rows: list[list[str]], tmp_path: Path) -> None:
    before = yaml.safe_load((BUNDLE / "dashboards" / "toloka.yaml").read_text())["position"]
    position, bundle = dashboard_with(views, tmp_path)
    (tabs,) = position["ROOT_ID"]["children"]
    first, second = (position[tab] for tab in position[tabs]["children"])
    assert first["children"] == before["GRID_ID"]["children"]
    assert [position[row]["children"] for row in second["children"]] == rows
    parts = [part for part in position.values() if isinstance(part, dict)]
    del position["GRID_ID"]  # which stays, empty, as it does where tabs are made by hand
    for part in (part for part in position.values() if isinstance(part, dict) and part.get("parents")):
        assert part["id"] in position[part["parents"][-1]]["children"]
    charts = {yaml.safe_load(path.read_text())["uuid"] for path in bundle.glob("charts/*.yaml")}
    assert {part["meta"]["uuid"] for part in parts if part["type"] == "CHART"} == charts
