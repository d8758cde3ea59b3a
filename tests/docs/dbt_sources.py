"""The tables and views as dbt's sources: `pipelines/dbt/toloka.yml`, for people to copy into a dbt project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml  # type: ignore[import-untyped]

from toloka_source.bi.list_views import list_views
from toloka_source.bi.view_schemas import VIEWS
from toloka_source.bi.view_sql import DATASET
from toloka_source.catalog import schemas
from toloka_source.catalog.endpoints import ENDPOINTS
from toloka_source.tables.further_tables import GONE_ITEMS, REJECTED_ITEMS, history_of

FILE = Path(__file__).parents[2] / "pipelines" / "dbt" / "toloka.yml"

_HEAD = """\
# toloka-source's tables and views as dbt's sources: put this file into the models' folder of a dbt project.
#
# Variables of the project that say where they are, if not in the target's database under the usual names:
#   toloka_database, toloka_dataset (of the tables), toloka_views (of the views)
"""

_TABLES: Mapping[str, tuple[str, pa.Schema]] = {
    **{
        name: (f"{one.nouns[1].capitalize()}, one a row, named as in the API", one.schema)
        for name, one in ENDPOINTS.items()
    },
    **{
        history_of(name): (
            f"Versions of {one.nouns[1]}, one a row, with `history` on",
            pa.schema([*one.schema, *schemas.VERSION]),
        )
        for name, one in ENDPOINTS.items()
    },
    REJECTED_ITEMS: ("Objects that didn't fit the tables, one a row; there once there is one", schemas.REJECTED_ITEMS),
    GONE_ITEMS: ("Absences from the account, one a row; there once there is one", schemas.GONE_ITEMS),
}

_VIEWS: Mapping[str, pa.Schema] = {**VIEWS, **{name: view.schema for name, view in list_views().items()}}

_FRESHNESS = {
    "loaded_at_field": "loaded_at",
    "freshness": {
        "warn_after": {"count": 3, "period": "hour"},
        "error_after": {"count": 24, "period": "hour"},
        "filter": "status = 'ok'",
    },
}
"""For a load each hour."""


def write() -> None:
    """Write the file."""
    FILE.write_text(text())


def text() -> str:
    """Return what the file has to be."""
    sources = [
        _source("toloka", "What a Toloka account has", "toloka_dataset", "toloka_data")
        | {"tables": [_table(name, *about) for name, about in _TABLES.items()]},
        _source(DATASET, "Views of it with plain columns", "toloka_views", DATASET)
        | {"tables": [_view(name, schema) for name, schema in _VIEWS.items()]},
    ]
    content = {"version": 2, "sources": sources}
    return _HEAD + str(yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True))


def is_stale() -> bool:
    """Tell whether the file has other tables, views, columns or comments than the code."""
    return not FILE.exists() or FILE.read_text() != text()


def _source(name: str, description: str, variable: str, schema: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "database": '{{ var("toloka_database", target.database) }}',
        "schema": f'{{{{ var("{variable}", "{schema}") }}}}',
    }


def _view(name: str, schema: pa.Schema) -> dict[str, Any]:
    table = _table(name, schemas.description(schema), schema)
    return {**table, "config": _FRESHNESS} if name == "loads" else table


def _table(name: str, description: str, schema: pa.Schema) -> dict[str, Any]:
    columns = [{"name": field.name, "description": schemas.description(field)} for field in schema]
    return {"name": name, "description": description, "columns": columns}
