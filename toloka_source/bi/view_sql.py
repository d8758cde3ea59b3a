"""The statements that make the views.

`sql/` has a text for each view, which names the tables and columns that it reads as if all of them were there. What
isn't there (yet) is given to it empty: a table without rows, a column of nulls. So each view is always there, whole.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files

import pyarrow as pa
from dlt.common.schema.typing import C_DLT_LOAD_ID, LOADS_TABLE_NAME

from toloka_source.bi.engines import Engine
from toloka_source.bi.list_views import list_views
from toloka_source.bi.view_schemas import RUNS, VIEWS
from toloka_source.catalog import ENDPOINTS, schemas
from toloka_source.errors import ConfigurationError
from toloka_source.tables.further_tables import GONE_ITEMS, REJECTED_ITEMS, further_tables, history_of

DATASET = "toloka_bi"
"""The dataset, or schema, that holds the views and nothing else, unless another name is given."""

RUNS_TABLE = "_toloka_loads"
"""The table of loads, beside the account's."""

_LOAD_ID = pa.field(C_DLT_LOAD_ID, schemas.TEXT)
_OWN_TABLES: Mapping[str, Sequence[pa.Field]] = {
    LOADS_TABLE_NAME: [pa.field("load_id", schemas.TEXT), pa.field("inserted_at", schemas.TIMESTAMP)],
    RUNS_TABLE: [*RUNS],
    REJECTED_ITEMS: [*schemas.REJECTED_ITEMS],
    GONE_ITEMS: [*schemas.GONE_ITEMS],
}
"""What a view can read beside the lists and their histories."""

_MARK = re.compile(r"Made by toloka-source from the dataset (.*), version \w+\.", re.DOTALL)
"""The end of a view's comment: whose tables it reads, and a digest of all that it was made of."""


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


def views(
    engine: Engine,
    dataset: str,
    tables: Mapping[str, Sequence[str]],
    views_in: str = DATASET,
    there: Collection[str] = (),
) -> Iterator[View]:
    """Yield the views: those that are always there, and those of the lists that are.

    Args:
        engine: The database.
        dataset: What holds the tables.
        tables: The columns of those tables that are there.
        views_in: What holds the views.
        there: The names of views that are there already, and stay.
    """
    of_lists = {name: view.schema for name, view in list_views().items() if view.table in tables or name in there}
    inputs = {**_OWN_TABLES, **{name: [*endpoint.schema, _LOAD_ID] for name, endpoint in ENDPOINTS.items()}}
    inputs |= {history_of(name): [*further_tables(name)[history_of(name)].schema] for name in ENDPOINTS}
    for name, schema in (VIEWS | of_lists).items():
        sql = _sql(engine.name, name).replace("{pool_of_answer}", engine.pool_of_answer)
        words = set(re.findall(r"\w+", sql))
        read = ",\n".join(
            _input(engine, dataset, table, [field for field in fields if field.name in words], tables.get(table))
            for table, fields in inputs.items()
            if table in words
        )
        view = f"{views_in}.{name}"
        create = f"CREATE OR REPLACE VIEW {view} AS WITH {read}\n{sql}"
        comments = [
            f"COMMENT ON COLUMN {view}.{quoted(field.name)} IS {_literal(schemas.description(field))}"
            for field in schema
            if engine.comments_columns
        ]
        version = blake2b("".join([engine.search_path, create, *comments]).encode(), digest_size=8).hexdigest()
        comment = f"{schemas.description(schema)}. Made by toloka-source from the dataset {dataset}, version {version}."
        yield View(name, schema.names, create, comment, [f"COMMENT ON VIEW {view} IS {_literal(comment)}", *comments])


def all_names() -> str:
    """Return the names of all views, as a statement lists them."""
    return ", ".join(map(_literal, (*VIEWS, *list_views())))


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
        f"CAST({quoted(field.name) if field.name in there else 'NULL'} AS {engine.type_of(field)}) "
        f"AS {quoted(field.name)}"
        for field in fields
    ]
    rows = "WHERE false" if columns is None else f"FROM {quoted(dataset)}.{table}"
    return f"{table} AS NOT MATERIALIZED (SELECT {', '.join(values)} {rows})"


@cache
def _sql(engine: str, view: str) -> str:
    """Return a view's statement, with the statements of those views in it that it reads."""
    texts = files("toloka_source.bi") / "sql"
    for own in (texts / engine / f"{view}.sql", texts / f"{view}.sql"):
        if own.is_file():
            text = own.read_text(encoding="utf-8")
            return re.sub(r"\{view (\w+)\}", lambda other: f"({_sql(engine, other[1])})", text)
    columns = ",\n    ".join(f"item.{quoted(name)}" for name in ENDPOINTS[view].schema.names)
    return (texts / "list.sql").read_text(encoding="utf-8").format(columns=columns, table=view)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
