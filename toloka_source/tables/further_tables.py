"""The tables that a resource has beside its own."""

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from toloka_source.catalog import ENDPOINTS, schemas

REJECTED_ITEMS = "rejected_items"
"""Of all resources: objects that don't fit their schema."""

GONE_ITEMS = "gone_items"
"""Of all resources: a row for each absence of an object, with the end of it once it has one."""


class FurtherTable(NamedTuple):
    """The columns of a table, and those that tell its rows apart."""

    schema: pa.Schema
    key: list[str]


def history_of(resource: str) -> str:
    """Return the name of the table of versions of a resource's objects."""
    return f"{resource}_history"


def further_tables(resource: str, *, history: bool = True) -> Mapping[str, FurtherTable]:
    """Return the further tables of a resource; none if it isn't ours.

    Args:
        resource: Its name.
        history: Whether it has a table of versions.
    """
    if resource not in ENDPOINTS:
        return {}
    tables = {
        REJECTED_ITEMS: FurtherTable(schemas.REJECTED_ITEMS, ["key"]),
        GONE_ITEMS: FurtherTable(schemas.GONE_ITEMS, ["resource", "id", "gone_at"]),
    }
    if history:
        columns = [*ENDPOINTS[resource].schema, schemas.HASH, *schemas.VERSION]
        tables[history_of(resource)] = FurtherTable(pa.schema(columns), ["id", "valid_from"])
    return tables
