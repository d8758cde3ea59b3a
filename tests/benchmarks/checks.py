"""What has to be in the tables after a load: no rival wins by losing rows.

A list's facts are its number of rows, its number of ids, and checksums over ids and each time field, and ids and names.
They are worked out twice: from the objects, in Python; and from a rival's tables, in SQL. Needs nothing but DuckDB.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import reduce
from hashlib import md5
from operator import xor
from pathlib import Path
from typing import Any

import duckdb

Facts = dict[str, list[int]]
"""For each list: rows, ids, checksum of created, for trainings also of last_started, checksum of names."""

TIMES: Mapping[str, tuple[str, ...]] = {"projects": ("created",), "trainings": ("created", "last_started")}

NAMES: Mapping[str, str] = {"projects": "public_name", "trainings": "private_name"}

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the API's times are naive UTC


def of_objects(lists: Mapping[str, list[dict[str, Any]]]) -> Facts:
    """Work out the facts from objects as the API sends them."""
    return {
        name: [
            len(items),
            len({item["id"] for item in items}),
            *(_checksum((item["id"], _microseconds(item.get(field))) for item in items) for field in TIMES[name]),
            _checksum((item["id"], item[NAMES[name]]) for item in items),
        ]
        for name, items in lists.items()
    }


def of_tables(file: str | Path, queries: Mapping[str, str]) -> Facts:
    """Work out the facts from a DuckDB file.

    Args:
        file: The file.
        queries: For each list a query that gives id and name (texts), created and for trainings last_started
            (timestamps).
    """
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {name: _table_facts(connection, name, query) for name, query in queries.items()}


def rows_of(pipeline: Any) -> int:
    """Return how many rows a run of dlt's wrote into the two tables."""
    rows: dict[str, int] = pipeline.last_trace.last_normalize_info.row_counts
    return sum(rows.get(name, 0) for name in TIMES)


def _table_facts(connection: duckdb.DuckDBPyConnection, name: str, query: str) -> list[int]:
    # md5 rather than DuckDB's own hash(), which may differ from version to version
    values = [*(f"coalesce(epoch_us({field}), -1)" for field in TIMES[name]), NAMES[name]]
    sums = [f"bit_xor(md5_number_lower(id || '|' || {value}))" for value in values]
    row = connection.execute(f"SELECT count(*), count(DISTINCT id), {', '.join(sums)} FROM ({query})").fetchone()  # noqa: S608
    return [int(value or 0) for value in row or ()]


def _checksum(rows: Iterable[tuple[str, object]]) -> int:
    return reduce(xor, (_md5_number_lower(f"{id_}|{value}") for id_, value in rows), 0)


def _md5_number_lower(text: str) -> int:
    """Return what DuckDB's function of this name does."""
    return int.from_bytes(md5(text.encode(), usedforsecurity=False).digest()[8:], "little")


def _microseconds(time: str | None) -> int:
    return -1 if time is None else (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)
