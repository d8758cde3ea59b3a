"""Each version of each object, once: since when it was there, and until when.

A version is what has a hash of its own. What is read is compared with the versions that have no end yet; one that is
another now, or gone, is written again with its end, as no destination can change a row from here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.schema.typing import C_DLT_LOAD_ID

from toloka_source.catalog.schemas import HASH, VERSION, unknown_column
from toloka_source.destinations.known_rows import MOST_IDS, KnownRows, open_rows
from toloka_source.tables.further_tables import further_tables, history_of
from toloka_source.tables.gone import left_out
from toloka_source.tables.hints import stored_columns

_FROM, _AFTER, _TO = VERSION.names

_AT_LEAST = timedelta(microseconds=1)
"""How long a version is there, whatever the clocks say: two of an object have different moments."""


class History:
    """The versions that one run of a list finds."""

    def __init__(self, resource: str, seen_at: datetime | None, *, is_whole: bool, newest: bool) -> None:
        """Begin a run.

        Args:
            resource: The list.
            seen_at: When all versions without an end were still there; None if that isn't known.
            is_whole: Whether the run reads the whole list.
            newest: Whether the destination keeps what a row was before it had an end.
        """
        self._table = history_of(resource)
        self._schema, self._key = further_tables(resource)[self._table]
        self._seen_at = seen_at
        self._newest = newest
        self._is_kept = True
        self._known: KnownRows | None = None
        if is_whole:
            self._read_known()

    @property
    def known(self) -> KnownRows | None:
        """All versions that have no end, if they were asked for."""
        return self._known

    def versions(self, table: pa.Table, moment: datetime) -> pa.Table | None:
        """Return the rows for the table of versions: the new ones, and those that they end.

        Args:
            table: Objects as they are now.
            moment: When they were read.
        """
        if self._known is None and len(table) > MOST_IDS:
            self._read_known()
        hashes = table[HASH.name]
        if self._known is not None and len(self._known.hashes):
            table = table.filter(pa.array([not self._known.has(one) for one in hashes.to_pylist()], pa.bool_()))
        before = self._open(table)
        if before is None or not len(table):
            return None
        table = table.filter(pc.invert(pc.is_in(table[HASH.name], before[HASH.name])))
        before = before.filter(pc.is_in(before["id"], table["id"]))
        starts = dict(zip(before["id"].to_pylist(), before[_FROM].to_pylist(), strict=True))
        seen = [self._seen(starts[one]) if one in starts else None for one in table["id"].to_pylist()]
        new = table.append_column(VERSION.field(_FROM), _moments(table["id"].to_pylist(), starts, moment))
        new = new.append_column(VERSION.field(_AFTER), pa.array(seen, VERSION.field(_AFTER).type))
        return pa.concat_tables([new, self._ended(before, moment)], promote_options="default")

    def gone(self, met: pa.ChunkedArray, moment: datetime) -> pa.Table | None:
        """Return the versions of objects that a whole list no longer has, with their end.

        Args:
            met: The ids that it has.
            moment: When it was read.
        """
        if self._known is None:
            return None
        missing = left_out(self._known.ids, met)
        before = self._open(pa.table({"id": missing}))
        return None if before is None else self._ended(before, moment)

    def _seen(self, start: datetime) -> datetime:
        """Return when a version that began then was still there, as far as is known."""
        return max(start, self._seen_at or start)

    def _ended(self, rows: pa.Table, moment: datetime) -> pa.Table:
        ids = rows["id"].to_pylist()
        starts = dict(zip(ids, rows[_FROM].to_pylist(), strict=True))
        place = rows.schema.get_field_index(_TO)
        return rows.set_column(place, VERSION.field(_TO), _moments(ids, starts, moment))

    def _read_known(self) -> None:
        columns = pa.schema([*(self._schema.field(name) for name in self._key), HASH, VERSION.field(_TO)])
        rows = self._open_rows(columns, None)
        if rows is not None:
            self._known = KnownRows.of(rows)

    def _open(self, table: pa.Table) -> pa.Table | None:
        """Return the versions of these objects that have no end; None if the destination can't be asked."""
        ids = table["id"]
        if self._known is not None:
            ids = ids.filter(pc.is_in(ids, self._known.ids))
        further = sorted(stored_columns(self._table) - set(self._schema.names) - {C_DLT_LOAD_ID})
        columns = pa.schema([*self._schema, *map(unknown_column, further)])
        return self._open_rows(columns, ids.to_pylist())

    def _open_rows(self, columns: pa.Schema, ids: Sequence[str] | None) -> pa.Table | None:
        if not self._is_kept or ids == []:
            return columns.empty_table() if self._is_kept else None
        rows = open_rows(self._table, columns, self._key, _TO, "id", ids, newest=self._newest)
        if rows is None:
            self._is_kept = False  # and it isn't asked again
        return rows


def _moments(ids: Sequence[str], starts: Mapping[str, datetime], moment: datetime) -> pa.Array:
    """Return when each version that began then ends, and the next one begins."""
    ends = [max(moment, starts[one] + _AT_LEAST) if one in starts else moment for one in ids]
    return pa.array(ends, VERSION.field(_FROM).type)
