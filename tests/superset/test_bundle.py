"""The bundle against the views: each dataset has each of its view's columns, under its own type."""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.superset.superset_server import FILES
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.catalog.schemas import BOOLEAN, INTEGER, NUMBER, TEXT, TIMESTAMP

TYPES = {TEXT: "VARCHAR", TIMESTAMP: "TIMESTAMPTZ", INTEGER: "BIGINT", BOOLEAN: "BOOLEAN", NUMBER: "DOUBLE PRECISION"}
MORE = {"quality_rules": {"owner_id", "created_at"}}
"""What a dataset's own query joins."""


@pytest.mark.parametrize("path", sorted((FILES / "bundle" / "datasets").iterdir()), ids=lambda path: path.stem)
def test_columns(path: Path) -> None:
    dataset = yaml.safe_load(path.read_text())
    columns = {
        column["column_name"]: (column["type"], column.get("is_dttm", False))
        for column in dataset["columns"]
        if "expression" not in column and column["column_name"] not in MORE.get(dataset["table_name"], ())
    }
    assert columns == {
        field.name: (TYPES[field.type], field.type == TIMESTAMP) for field in VIEWS[dataset["table_name"]]
    }
