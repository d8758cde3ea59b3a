"""The databases that have views, and what differs between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from toloka_source._dlt import DUCKDB, DUCKLAKE, POSTGRES
from toloka_source.catalog import schemas


@dataclass(frozen=True)
class Engine:
    """What differs between the databases that have views.

    Attributes:
        name: Its folder in `sql/`.
        title: Its name for people.
        types: Its types.
        json: Its type of JSON.
        columns: The query for a dataset's tables and views, and their columns in order.
        comments: The query for a dataset's views, and their comments.
        all_comments: The query for the datasets of all views, and their comments.
        strangers: The query for what others have made where the views belong, `{names}`: its name, and whose it is.
        search_path: Has a transaction take no function, operator or type from a dataset that others may write to.
        create_dataset: Makes the views' dataset, `{views}`, if there is none.
        lock: Begins a transaction that no other process makes views beside, in `{views}`.
        pool_of_answer: The number, as a text, that an `assignment_id` begins with in hexadecimal digits.
        views_block_drops: Whether a table can't be dropped while a view reads it.
        comments_columns: Whether a view's columns can have comments.
    """

    name: str
    title: str
    types: Mapping[pa.DataType, str]
    json: str
    columns: str
    comments: str
    all_comments: str
    create_dataset: str
    pool_of_answer: str
    strangers: str = ""
    search_path: str = ""
    lock: str = ""
    views_block_drops: bool = False
    comments_columns: bool = True

    def type_of(self, field: pa.Field) -> str:
        """Return the database's type of a column."""
        return self.json if schemas.is_json(field) else self.types[field.type]


# a superuser has the rights of every role, but shouldn't run what any of them wrote; it needs no trick itself
_OURS = """
    (
        owner.rolsuper OR owner.rolname = current_user
        OR NOT me.rolsuper AND pg_has_role(owner.oid, 'USAGE')
    )
"""

_DUCKDB = Engine(
    name="duckdb",
    title="DuckDB",
    types={
        schemas.TEXT: "VARCHAR",
        schemas.TIMESTAMP: "TIMESTAMPTZ",
        schemas.INTEGER: "BIGINT",
        schemas.BOOLEAN: "BOOLEAN",
        schemas.NUMBER: "DOUBLE",
        schemas.MONEY: "DECIMAL(38, 9)",
    },
    json="JSON",
    columns="""
        SELECT table_name, column_name FROM duckdb_columns()
        WHERE database_name = current_database() AND schema_name = %s ORDER BY table_name, column_index
    """,
    comments="""
        SELECT view_name, comment FROM duckdb_views()
        WHERE database_name = current_database() AND schema_name = %s
    """,
    all_comments="""
        SELECT schema_name, comment FROM duckdb_views() WHERE database_name = current_database()
    """,
    create_dataset="CREATE SCHEMA IF NOT EXISTS {views}",
    pool_of_answer=r"""
        CAST(TRY_CAST('0x' || regexp_extract(assignment_id, '^([0-9a-fA-F]{1,15})--', 1) AS bigint) AS varchar)
    """.strip(),
)

ENGINES: Mapping[str, Engine] = {
    DUCKDB: _DUCKDB,
    DUCKLAKE: replace(_DUCKDB, title="DuckLake", comments_columns=False),
    POSTGRES: Engine(
        name="postgres",
        title="PostgreSQL",
        types={
            schemas.TEXT: "text",
            schemas.TIMESTAMP: "timestamptz",
            schemas.INTEGER: "bigint",
            schemas.BOOLEAN: "boolean",
            schemas.NUMBER: "double precision",
            schemas.MONEY: "numeric(38, 9)",
        },
        json="jsonb",
        columns="""
            SELECT relname, attname
            FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid
            JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v') AND nspname = %s AND attnum > 0 AND NOT attisdropped
            ORDER BY relname, attnum
        """,
        comments="""
            SELECT relname, obj_description(pg_class.oid, 'pg_class')
            FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE relkind = 'v' AND nspname = %s
        """,
        all_comments=f"""
            SELECT nspname, obj_description(pg_class.oid, 'pg_class')
            FROM pg_class
            JOIN pg_namespace ON pg_namespace.oid = relnamespace
            JOIN pg_roles AS owner ON owner.oid = relowner
            JOIN pg_roles AS me ON me.rolname = current_user
            WHERE relkind = 'v' AND {_OURS}
        """,  # noqa: S608 - names of ours
        strangers=f"""
            SELECT thing.name, owner.rolname
            FROM (
                SELECT nspname AS name, nspname, nspowner AS owner FROM pg_namespace
                UNION ALL
                SELECT nspname || '.' || relname, nspname, relowner
                FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                WHERE relname IN ({{names}})
            ) AS thing
            JOIN pg_roles AS owner ON owner.oid = thing.owner
            JOIN pg_roles AS me ON me.rolname = current_user
            WHERE nspname = %s AND NOT {_OURS}
            ORDER BY 1
        """,  # noqa: S608 - names of ours
        search_path="SET LOCAL search_path = pg_catalog, pg_temp",
        # with IF NOT EXISTS alone it asks for a right that isn't needed
        create_dataset="""
            DO $$ BEGIN
                IF to_regnamespace('{views}') IS NULL THEN CREATE SCHEMA {views}; END IF;
            END $$
        """,
        pool_of_answer="""
            CAST(CAST(
                CAST('x' || lpad(substring(assignment_id FROM '^([0-9a-fA-F]{1,15})--'), 16, '0') AS bit(64)) AS bigint
            ) AS text)
        """.strip(),
        # whoever reads a view for long is left alone, and nobody is kept waiting behind us: the next load tries again
        lock="SET LOCAL lock_timeout = '5s'; SELECT pg_advisory_xact_lock(hashtext('{views}'))",
        views_block_drops=True,
    ),
}
"""By dlt's name of the destination."""
