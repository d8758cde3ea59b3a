"""The destinations that are run, what is checked of each, and what they are known not to do.

The table in `docs/reference/destinations.md` is made from this; a check that a destination is said not to pass has to
fail there.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of destination.

    Attributes:
        name: How the documentation calls it.
        json: Its type of JSON.
        extra: What has to be installed, too.
    """

    name: str
    json: str
    extra: str = ""


KINDS: Mapping[str, Kind] = {
    "duckdb": Kind("`duckdb`", "JSON"),
    "postgres": Kind("`postgres`", "jsonb, which keeps no order of keys", "extra `postgres`"),
    "ducklake": Kind("`ducklake`, catalog in SQLite", "JSON"),
    "ducklake-postgres": Kind("`ducklake`, catalog in PostgreSQL", "JSON"),
    "delta": Kind("`filesystem`, Delta, in a folder", "text", "extra `deltalake`"),
    "delta-s3": Kind("`filesystem`, Delta, on S3", "text", "extra `deltalake`, `dlt[s3]`"),
    "iceberg": Kind("`filesystem`, Iceberg, in a folder", "text", "extra `pyiceberg`"),
    "iceberg-s3": Kind("`filesystem`, Iceberg, on S3", "text", "extra `pyiceberg`, `dlt[s3]`"),
    "parquet": Kind("`filesystem`, Parquet, in a folder", "text"),
    "parquet-s3": Kind("`filesystem`, Parquet, on S3", "text", "`dlt[s3]`"),
    "sqlite": Kind("`sqlalchemy`, SQLite", "JSON", "`dlt[sqlalchemy]`"),
    "mariadb": Kind("`sqlalchemy`, MariaDB", "longtext", "`dlt[sqlalchemy]`, `pymysql`"),
}
"""By their names in the tests."""

CHECKS: Mapping[str, str] = {
    "increments": "a first load and what is new since",
    "one_row_each": "one row for each object",
    "unchanged": "a re-scan writes nothing where nothing changed",
    "edits": "a re-scan writes what was edited, and nothing else",
    "new_machine": "goes on from the state at the destination",
    "json": "JSON comes back as it was",
    "times": "times come back as they were",
    "texts": "texts come back as they were",
    "nul": "a NUL in a text is kept",
    "new_fields": "fields that appear later get columns",
    "rejected": "`rejected_items`",
    "gone": "`gone_items`",
    "history": "a history",
    "windows": "back-fill windows beside each other",
}
"""What each test checks, by its name without `test_`."""

OTHER_PLACES = {"ducklake-postgres", "delta-s3", "iceberg-s3", "parquet-s3"}
"""Kinds that differ from another one only by where they keep things."""

OF_THE_PLACE = {"increments", "one_row_each", "new_machine", "windows"}
"""The checks that such a kind could fail by itself; the others are tried there before a release."""

_ADDS = "each load adds files, and an id has a row from each load that brought it"
_JSON_TWICE = (
    "dlt 1.31 makes a JSON text of what is one; it is right in SQLite as `column ->> '$'`, in MariaDB as "
    "`json_unquote(column)`"
)

LIMITS: Mapping[str, Mapping[str, str]] = {
    "postgres": {"nul": "PostgreSQL takes none: U+FFFD stands for it"},
    "parquet": {"one_row_each": _ADDS},
    "parquet-s3": {"one_row_each": _ADDS},
    "sqlite": {"json": _JSON_TWICE},
    "mariadb": {"json": _JSON_TWICE, "texts": "dlt 1.31 makes columns of 64 kB; a longer text stops the load"},
}
"""For each destination the checks that fail there, and why."""
