"""The bundle against the views: each dataset has just the columns that its query brings, under their own types."""

from pathlib import Path

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]

from tests.conftest import Warehouse
from tests.superset.superset_server import FILES

TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "DOUBLE": "DOUBLE PRECISION"}
"""Of DuckDB's, those that have another name here."""


@pytest.mark.parametrize("path", sorted((FILES / "bundle" / "datasets").iterdir()), ids=lambda path: path.stem)
def test_columns(warehouse: Warehouse, path: Path) -> None:
    warehouse.views = True
    warehouse.load()
    dataset = yaml.safe_load(path.read_text())
    query = dataset.get("sql", f"FROM {dataset['schema']}.{dataset['table_name']}")
    with duckdb.connect("toloka.duckdb", read_only=True) as connection:
        found = {name: TYPES.get(kind, kind) for name, kind, *_ in connection.sql(f"DESCRIBE {query}").fetchall()}
    columns = [column for column in dataset["columns"] if "expression" not in column]
    assert {column["column_name"]: column["type"] for column in columns} == found
    times = {column["column_name"] for column in columns if column.get("is_dttm")}
    assert times == {name for name, kind in found.items() if kind in ("TIMESTAMPTZ", "DATE")}
