"""What the destination holds of a table: the ids of its rows, and the hash of each row's object.

The destination is the truth: a row that was deleted there isn't known, and is loaded again.
"""

import logging
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import dlt
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.schema import Schema
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from sqlglot import exp

from toloka_source import _dlt
from toloka_source._dlt import SQLALCHEMY
from toloka_source.catalog import schemas
from toloka_source.errors import one_line

log = logging.getLogger(__name__)

MOST_IDS = 500
"""So many rows are asked for by their ids; for more, the whole table is read."""

_ROWS_AT_ONCE = 50_000

_ID, _LOAD_ID = pa.field("id", schemas.TEXT), pa.field(C_DLT_LOAD_ID, schemas.TEXT)


@dataclass(frozen=True)
class KnownRows:
    """Rows of a table, in flat memory: some 20 bytes each.

    Attributes:
        ids: The id of each.
        hashes: Their hashes, in order; rows that an older version loaded have none.
    """

    ids: pa.ChunkedArray
    hashes: memoryview

    @classmethod
    def of(cls, rows: pa.Table) -> Self:
        """Return those of rows with an id and a hash."""
        hashes = rows[schemas.HASH.name].drop_null().combine_chunks().sort()
        return cls(rows[_ID.name], memoryview(hashes.buffers()[1] or b"").cast("q")[: len(hashes)])

    def has(self, content_hash: int) -> bool:
        """Tell whether a row has this hash; it is of the id too, so it can be of no other object."""
        place = bisect_left(self.hashes, content_hash)
        return place < len(self.hashes) and bool(self.hashes[place] == content_hash)


def known_rows(table: str, ids: Sequence[str] | None = None, *, newest: bool = False) -> KnownRows | None:
    """Return the rows that the running pipeline's destination holds; None if it can't be asked.

    Args:
        table: The table.
        ids: Those that are asked for; None for all.
        newest: Whether an id can have several rows, of which the newest counts.
    """
    columns = [_ID, schemas.HASH, *([_LOAD_ID] if newest else [])]
    rows = rows_at(table, pa.schema(columns), _ID.name, ids)
    if rows is None:
        return None
    if newest and rows.num_rows:
        last = rows.sort_by(_LOAD_ID.name).group_by(_ID.name, use_threads=False)
        rows = last.aggregate([(schemas.HASH.name, "last")]).rename_columns([_ID.name, schemas.HASH.name])
    return KnownRows.of(rows)


def open_rows(
    table: str,
    columns: pa.Schema,
    key: Sequence[str],
    end: str,
    by: str,
    among: Sequence[str] | None,
    *,
    newest: bool = False,
) -> pa.Table | None:
    """Return the rows of a table that have no end (yet); None if the running pipeline's destination can't be asked.

    Args:
        table: The table.
        columns: Its columns.
        key: Those that tell its rows apart.
        end: The one that is null.
        by: A column that is to have one of some values.
        among: Those values; None for any.
        newest: Whether the table keeps what a row was before it had an end.
    """
    rows = rows_at(table, columns, by, among, without="" if newest else end)
    if rows is None or not newest or not rows.num_rows:
        return rows
    ended = rows.filter(pc.is_valid(rows[end])).select(key)
    return rows.filter(pc.is_null(rows[end])).join(ended, list(key), join_type="left anti").select(columns.names)


def without_known(rows: pa.Table, table: str, key: str) -> pa.Table:
    """Return the rows of which the running pipeline's destination has none with this key; all if it can't be asked."""
    known = rows_at(table, pa.schema([rows.schema.field(key)]), key, rows[key].to_pylist())
    return rows if known is None else rows.filter(pc.invert(pc.is_in(rows[key], known[key])))


def rows_at(
    table: str, columns: pa.Schema, by: str = "", among: Sequence[str] | None = None, *, without: str = ""
) -> pa.Table | None:
    """Return columns of a table at the running pipeline's destination; None if it can't be asked.

    Where there is no table there are no rows; a column that it hasn't (yet) is full of nulls.

    Args:
        table: The table.
        columns: Its columns.
        by: A column that is to have one of some values.
        among: Those values; None for any.
        without: A column that is to be null.
    """
    pipeline, source = dlt.current.pipeline(), dlt.current.source_schema()
    schema, name = pipeline.schemas.get(source.name), source.naming.normalize_table_identifier(table)
    there = {} if schema is None or _is_dropped(name) else schema.tables.get(name, {}).get("columns", {})
    normalized = source.naming.normalize_path  # an identifier has no `__`
    names = {normalized(column): column for column in columns.names}
    known = [str(name) for name in names if name in there]
    if schema is None or not known:
        return columns.empty_table()
    try:
        found = _read(pipeline, schema, name, known, by and normalized(by), among, without and normalized(without))
    except (DatabaseUndefinedRelation, DestinationUndefinedEntity):
        return columns.empty_table()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises: all rows go on, which is right in any case
        # that another process has the file is said by the load
        level = logging.INFO if "Could not set lock" in str(error) else logging.WARNING
        log.log(level, "%s: what is there already can't be read, and all rows are loaded: %s", table, one_line(error))
        return None
    if found is None:
        return columns.empty_table()
    values = {names[name]: found[number] for number, name in enumerate(known)}
    nothing = pa.nulls(found.num_rows)
    return pa.table([values.get(field.name, nothing).cast(field.type) for field in columns], schema=columns)


def _read(
    pipeline: dlt.Pipeline,
    schema: Schema,
    table: str,
    columns: Sequence[str],
    by: str,
    among: Sequence[str] | None,
    without: str,
) -> pa.Table | None:
    batches = _dlt.open_table(pipeline, schema.name, table, columns)
    if batches is not None:
        wanted = pc.field(without).is_null() if without else pc.scalar(True)  # noqa: FBT003 - all
        if among is not None:
            wanted &= pc.field(by).isin(list(among))
        # by a filter of its own Delta compares texts with the files' statistics, which are of a type that it can't
        found = [pa.Table.from_batches([batch]).filter(wanted) for batch in batches]
        return pa.concat_tables(found) if found else None
    kinds = schema.tables[table]["columns"]
    # a driver would parse JSON, and numbers in it would not be what they were
    wanted = [_as_text(name) if kinds[name].get("data_type") == "json" else _named(name) for name in columns]
    relation = pipeline.dataset(schema=schema).query(exp.select(*wanted).from_(exp.table_(table, quoted=True)))
    if among is not None:
        relation = relation.where(by, "in", list(among))
    if without:
        relation = relation.where(_named(without).is_(exp.null()))
    with warnings.catch_warnings():
        # dlt asks DuckDB 2 for Arrow in a way that it warns of
        warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)
        chunks = list(relation.iter_arrow(_ROWS_AT_ONCE))
    if not chunks:
        return None
    rows = pa.concat_tables(chunks)
    if pipeline.destination.destination_type == SQLALCHEMY:
        for place, name in enumerate(columns):
            if kinds[name].get("data_type") == "json":
                rows = rows.set_column(place, name, _decoded(rows[place]))
    return rows


def _decoded(column: pa.ChunkedArray) -> pa.Array:
    """Return JSON as it was before it was loaded: dlt, through SQLAlchemy, makes a JSON text of what is one."""
    return pa.array([value and msgspec.json.decode(value, type=str) for value in column.to_pylist()], schemas.TEXT)


def _named(column: str) -> exp.Column:
    return exp.column(column, quoted=True)


def _as_text(column: str) -> exp.Alias:
    return exp.Alias(this=exp.cast(_named(column), "text"), alias=exp.to_identifier(column, quoted=True))


def _is_dropped(table: str) -> bool:
    """Tell whether this load drops or empties the table first: `refresh` does that, after all was read."""
    state = dlt.current.load_package_state()["state"]
    doomed = [*state.get("dropped_tables", []), *state.get("truncated_tables", [])]
    return table in [one["name"] for one in doomed]
