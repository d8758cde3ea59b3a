"""A pipeline into each kind of destination, and its tables as others read them there: without dlt where that can be."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from dlt.common.destination import Destination
from dlt.common.schema.typing import C_DLT_LOAD_ID
from psycopg2.extras import RealDictCursor

from tests.conftest import Warehouse
from toloka_source.catalog import schemas
from toloka_source.emulator import Emulator

DATASET = "toloka_data"


class Store(Warehouse):
    """A pipeline into one destination, and the tables as they are read there."""

    reads_json = False
    """Whether JSON comes out of the destination parsed."""

    json_layers = 1
    """How often it has to be parsed."""

    only_adds = False
    """Whether a row that comes again is one more."""

    def __init__(self, api: Emulator, destination: Destination[Any, Any]) -> None:
        """Attach to the destination."""
        self.api = api
        self.destination = destination
        self.pipeline = dlt.pipeline("toloka", destination=destination, dataset_name=DATASET)

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows as the destination gives them."""
        with (
            self.pipeline.sql_client() as client,
            client.execute_query(f"SELECT * FROM {table}") as cursor,  # noqa: S608 - a name of ours
        ):
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows without what isn't the API's, in the order of ids as numbers, JSON parsed."""
        columns = self.pipeline.default_schema.tables[table]["columns"]
        parsed = [] if self.reads_json else [name for name in columns if columns[name].get("data_type") == "json"]
        rows = sorted(self.read(table), key=lambda row: (len(row["id"]), row["id"]))
        for row in rows:
            del row[C_DLT_LOAD_ID]
            row.pop(schemas.HASH.name, None)
            for _ in range(self.json_layers):
                row |= {name: json.loads(row[name]) for name in parsed if row[name] is not None}
        return rows

    def count(self, table: str) -> int:
        """Return how many rows a table has, whatever they are."""
        return len(self.read(table))

    def types(self, table: str) -> dict[str, str]:
        """Return the destination's type of each column."""
        with self.pipeline.sql_client() as client:
            query = """
                SELECT column_name, data_type FROM information_schema.columns
                WHERE table_schema = 'toloka_data' AND table_name = %s
            """
            return {str(name): str(kind) for name, kind in client.execute_sql(query, table) or ()}


class PostgresStore(Store):
    """Tables in PostgreSQL, read by a client that wants to see times in UTC, whatever the server thinks."""

    reads_json = True

    def __init__(self, api: Emulator, url: str) -> None:
        """Attach to the database."""
        super().__init__(api, dlt.destinations.postgres(url))
        self._url = url

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows."""
        connection = psycopg2.connect(self._url, options="-c timezone=UTC", cursor_factory=RealDictCursor)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM toloka_data.{table}")  # noqa: S608 - a name of ours
            return [dict(row) for row in cursor.fetchall()]


class DeltaStore(Store):
    """Delta tables in a folder or a bucket, read as any program reads them."""

    def __init__(
        self, api: Emulator, destination: Destination[Any, Any], root: str = "lake", options: Any = None
    ) -> None:
        """Attach to a folder.

        Args:
            api: What is loaded.
            destination: What it is loaded into.
            root: The folder.
            options: How deltalake reaches it.
        """
        super().__init__(api, destination)
        self._root = root
        self._options = options

    def _table(self, table: str) -> pa.Table:
        return DeltaTable(f"{self._root}/{DATASET}/{table}", storage_options=self._options).to_pyarrow_table()

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of the table's newest version."""
        return list(self._table(table).to_pylist())

    def types(self, table: str) -> dict[str, str]:
        """Return the Arrow type of each column."""
        return {field.name: str(field.type) for field in self._table(table).schema}


NEWEST = """
SELECT * EXCLUDE filename
FROM read_parquet('lake/toloka_data/{table}/*.parquet', union_by_name = true, filename = true)
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY filename DESC) = 1
"""
"""What plain files, named by the time of their load, hold of each object in the end."""

_KEYS = {"rejected_items": ("key",), "projects_history": ("id", "valid_from")}
"""What tells the rows of a table apart, where it isn't the id."""


class ParquetStore(Store):
    """Plain Parquet files in a folder: each load adds some."""

    only_adds = True

    def _newest(self, table: str) -> Any:
        return duckdb.sql(NEWEST.format(table=table, key=", ".join(_KEYS.get(table, ("id",)))))

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return the newest row of each object."""
        newest = self._newest(table)
        return [dict(zip(newest.columns, row, strict=True)) for row in newest.fetchall()]

    def count(self, table: str) -> int:
        """Return how many rows the files have."""
        return sum(pq.read_metadata(path).num_rows for path in Path("lake/toloka_data", table).glob("*.parquet"))

    def types(self, table: str) -> dict[str, str]:
        """Return DuckDB's type of each column."""
        newest = self._newest(table)
        return dict(zip(newest.columns, map(str, newest.types), strict=True))


class BucketStore(ParquetStore):
    """The same in a bucket."""

    def __init__(self, api: Emulator, destination: Destination[Any, Any], root: str, files: Any) -> None:
        """Attach to a bucket.

        Args:
            api: What is loaded.
            destination: What it is loaded into.
            root: The bucket.
            files: Its file system.
        """
        super().__init__(api, destination)
        self._root = root
        self._files = files

    def _rows(self, table: str) -> Iterator[dict[str, Any]]:
        self._files.invalidate_cache()
        for path in sorted(self._files.glob(f"{self._root}/{DATASET}/{table}/*.parquet")):
            yield from pq.read_table(path, filesystem=self._files).to_pylist()

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return the newest row of each object, with a column for each field of any file."""
        key = _KEYS.get(table, ("id",))
        newest = {tuple(row[name] for name in key): row for row in self._rows(table)}
        nothing = dict.fromkeys(name for row in newest.values() for name in row)
        return [{**nothing, **row} for row in newest.values()]

    def count(self, table: str) -> int:
        """Return how many rows the files have."""
        return sum(1 for _ in self._rows(table))


class IcebergStore(Store):
    """Iceberg tables in a folder or a bucket, read by their newest metadata, as a program without a catalog does."""

    def __init__(
        self, api: Emulator, destination: Destination[Any, Any], root: str, files: Any, properties: Mapping[str, str]
    ) -> None:
        """Attach to a folder.

        Args:
            api: What is loaded.
            destination: What it is loaded into.
            root: The folder, with its scheme.
            files: Its file system.
            properties: How pyiceberg reaches it.
        """
        super().__init__(api, destination)
        self._root = root
        self._files = files
        self._properties = dict(properties)

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of the table's newest version."""
        from pyiceberg.table import StaticTable  # noqa: PLC0415 - of a session of its own

        self._files.invalidate_cache()
        scheme, _, folder = f"{self._root}/{DATASET}/{table}/metadata".rpartition("://")
        newest = max(self._files.glob(f"{folder}/*.metadata.json"))
        found = StaticTable.from_metadata(f"{scheme}://{newest}", self._properties)
        return list(found.scan().to_arrow().to_pylist())


class SqlalchemyStore(Store):
    """Tables in a database that SQLAlchemy reaches; its times have no zone, and are in UTC."""

    json_layers = 2  # dlt's loads through SQLAlchemy make a JSON text of what is one

    def __init__(self, api: Emulator, url: str, read_at: str, schema: str | None) -> None:
        """Attach to the database.

        Args:
            api: What is loaded.
            url: The database.
            read_at: The database that has the tables: SQLite has a file for each dataset.
            schema: Their schema there.
        """
        super().__init__(api, dlt.destinations.sqlalchemy(url))
        self._read_at = read_at
        self._schema = schema

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows."""
        import sqlalchemy as sa  # noqa: PLC0415 - of a session of its own

        engine = sa.create_engine(self._read_at)
        with closing(engine.connect()) as connection:
            found = sa.Table(table, sa.MetaData(), schema=self._schema, autoload_with=connection)
            for column in found.columns:
                if isinstance(column.type, sa.JSON):
                    column.type = sa.Text()  # as it stands there
            rows = [dict(row) for row in connection.execute(found.select()).mappings()]
        engine.dispose()
        return [{name: _in_utc(value) for name, value in row.items()} for row in rows]


def _in_utc(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
