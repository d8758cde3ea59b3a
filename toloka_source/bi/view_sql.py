"""The statements that make the views.

`sql/` has a text for each view, which names the tables and columns that it reads as if all of them were there. What
isn't there (yet) is given to it empty: a table without rows, a column of nulls. So each view is always there, whole.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files

import pyarrow as pa
from dlt.common.schema.typing import C_DLT_LOAD_ID, LOADS_TABLE_NAME

from toloka_source._dlt import DUCKDB, POSTGRES
from toloka_source.bi.view_schemas import DOUBLE, RUNS, VIEWS
from toloka_source.catalog import schemas
from toloka_source.catalog.endpoints import ENDPOINTS
from toloka_source.errors import ConfigurationError
from toloka_source.tables.further_tables import GONE_ITEMS, REJECTED_ITEMS, further_tables, history_of

DATASET = "toloka_bi"
"""The dataset, or schema, that holds the views and nothing else, unless another name is given."""

RUNS_TABLE = "_toloka_loads"
"""The table of loads, beside the account's."""

_LOAD_ID = pa.field(C_DLT_LOAD_ID, schemas.TEXT)
_TABLES: Mapping[str, Sequence[pa.Field]] = {
    **{name: [*endpoint.schema, _LOAD_ID] for name, endpoint in ENDPOINTS.items()},
    **{history_of(name): further_tables(name)[history_of(name)].schema for name in ENDPOINTS},
    LOADS_TABLE_NAME: [pa.field("load_id", schemas.TEXT), pa.field("inserted_at", schemas.TIMESTAMP)],
    RUNS_TABLE: [*RUNS],
    REJECTED_ITEMS: [*schemas.REJECTED_ITEMS],
    GONE_ITEMS: [*schemas.GONE_ITEMS],
}
"""What a view can read."""

_MARK = re.compile(r"Made by toloka-source from the dataset (.*), version \w+\.", re.DOTALL)
"""The end of a view's comment: whose tables it reads, and a digest of all that it was made of."""


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
        strangers: The query for what others have made where the views belong: its name, and whose it is.
        search_path: Has a transaction take no function, operator or type from a dataset that others may write to.
        create_dataset: Makes the views' dataset, `{views}`, if there is none.
        lock: Begins a transaction that no other process makes views beside, in `{views}`.
        views_block_drops: Whether a table can't be dropped while a view reads it.
    """

    name: str
    title: str
    types: Mapping[pa.DataType, str]
    json: str
    columns: str
    comments: str
    all_comments: str
    create_dataset: str
    strangers: str = ""
    search_path: str = ""
    lock: str = ""
    views_block_drops: bool = False

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

ENGINES: Mapping[str, Engine] = {
    DUCKDB: Engine(
        name="duckdb",
        title="DuckDB",
        types={
            schemas.TEXT: "VARCHAR",
            schemas.TIMESTAMP: "TIMESTAMPTZ",
            schemas.INTEGER: "BIGINT",
            schemas.BOOLEAN: "BOOLEAN",
            DOUBLE: "DOUBLE",
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
    ),
    POSTGRES: Engine(
        name="postgres",
        title="PostgreSQL",
        types={
            schemas.TEXT: "text",
            schemas.TIMESTAMP: "timestamptz",
            schemas.INTEGER: "bigint",
            schemas.BOOLEAN: "boolean",
            DOUBLE: "double precision",
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
                WHERE relname IN ({", ".join(f"'{view}'" for view in VIEWS)})
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
        # whoever reads a view for long is left alone, and nobody is kept waiting behind us: the next load tries again
        lock="SET LOCAL lock_timeout = '5s'; SELECT pg_advisory_xact_lock(hashtext('{views}'))",
        views_block_drops=True,
    ),
}
"""By dlt's name of the destination."""


@dataclass(frozen=True)
class View:
    """A view that is to be made.

    Attributes:
        name: Its name.
        columns: Their names.
        create: Makes it, or puts it in the place of one that has the first of these columns.
        comment: Its comment; another one means that the view isn't this one.
        comments: Set its comments.
    """

    name: str
    columns: Sequence[str]
    create: str
    comment: str
    comments: Sequence[str]


def views(engine: Engine, dataset: str, tables: Mapping[str, Sequence[str]], views_in: str = DATASET) -> Iterator[View]:
    """Yield the views.

    Args:
        engine: The database.
        dataset: What holds the tables.
        tables: The columns of those tables that are there.
        views_in: What holds the views.
    """
    for name, schema in VIEWS.items():
        sql = _sql(engine.name, name)
        words = set(re.findall(r"\w+", sql))
        inputs = ",\n".join(
            _input(engine, dataset, table, [field for field in fields if field.name in words], tables.get(table))
            for table, fields in _TABLES.items()
            if table in words
        )
        view = f"{views_in}.{name}"
        create = f"CREATE OR REPLACE VIEW {view} AS WITH {inputs}\n{sql}"
        comments = [
            f"COMMENT ON COLUMN {view}.{field.name} IS {_literal(schemas.description(field))}" for field in schema
        ]
        version = blake2b("".join([engine.search_path, create, *comments]).encode(), digest_size=8).hexdigest()
        comment = f"{schemas.description(schema)}. Made by toloka-source from the dataset {dataset}, version {version}."
        yield View(name, schema.names, create, comment, [f"COMMENT ON VIEW {view} IS {_literal(comment)}", *comments])


def dataset_of(comment: str | None) -> str | None:
    """Return the dataset that a view of this comment reads; None if we didn't make it."""
    found = _MARK.search(comment or "")
    return found[1] if found else None


def check_views(views: bool | str, dataset: str) -> str:  # noqa: FBT001 - as in `load`
    """Return the name of the views' dataset.

    Args:
        views: What `load` was given.
        dataset: What holds the tables.

    Raises:
        ConfigurationError: It can't be a name, or is the tables' own.
    """
    if isinstance(views, bool):
        return DATASET
    if not isinstance(views, str) or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", views):
        raise ConfigurationError("views", views, "must be True, False or a name of small letters, digits and _")
    if views == dataset:
        raise ConfigurationError("views", views, "holds the tables; the views need a dataset of their own")
    return views


def quoted(name: str) -> str:
    """Return a name as it stands in a statement, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _input(engine: Engine, dataset: str, table: str, fields: Sequence[pa.Field], columns: Sequence[str] | None) -> str:
    """Return a table as the views expect it, whatever there is of it."""
    there = set(columns or ())
    values = [
        f"CAST({field.name if field.name in there else 'NULL'} AS {engine.type_of(field)}) AS {field.name}"
        for field in fields
    ]
    rows = "WHERE false" if columns is None else f"FROM {quoted(dataset)}.{table}"
    return f"{table} AS NOT MATERIALIZED (SELECT {', '.join(values)} {rows})"


@cache
def _sql(engine: str, view: str) -> str:
    """Return a view's statement, with the statements of those views in it that it reads."""
    texts = files("toloka_source.bi") / "sql"
    own = texts / engine / f"{view}.sql"
    text = (own if own.is_file() else texts / f"{view}.sql").read_text(encoding="utf-8")
    return re.sub(r"\{view (\w+)\}", lambda other: f"({_sql(engine, other[1])})", text)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
