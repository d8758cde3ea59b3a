"""What the tests of a guest in dlt share: the tables of a pipeline, compared with the account."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltSource

from tests.conftest import expected_rows
from toloka_source import ENDPOINTS, load
from toloka_source.catalog import DEFAULT_ENDPOINTS, schemas
from toloka_source.emulator import Account

Do = Callable[..., Any]
"""Runs a pipeline on a source, either way."""


def run(pipeline: dlt.Pipeline, source: Any, **arguments: Any) -> None:
    """Let dlt run it."""
    pipeline.run(source, **arguments)


WAYS: tuple[Do, ...] = (run, load)


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
            if schemas.is_json(column) and isinstance(row[column.name], str)
            else row[column.name]
            for column in fields
        }
        for row in found
    ]


def assert_equal(pipeline: dlt.Pipeline, account: Account, tables: Mapping[str, str] | None = None) -> None:
    """Compare tables with the account, field by field."""
    for name, endpoint in DEFAULT_ENDPOINTS.items():
        table = (tables or {}).get(name, name)
        assert table_of(pipeline, table, schema=name) == expected_rows(getattr(account, name), endpoint.schema)


def each(source: DltSource, **hints: Any) -> None:
    for resource in source.resources.values():
        resource.apply_hints(**hints)


def merged_by(strategy: str) -> dict[str, str]:
    return {"disposition": "merge", "strategy": strategy}


def with_length(table: pa.Table) -> pa.Table:
    return table.append_column("name_length", pa.array([len(name or "") for name in table["public_name"].to_pylist()]))
