"""What is new and what has changed: rows are compared with what the destination holds, and only those go on."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toloka_source.catalog import schemas
from toloka_source.destinations.known_rows import MOST_IDS, KnownRows

Read = Callable[[Sequence[str] | None], KnownRows | None]
"""Returns the rows of these ids that the destination holds, or all; None if it can't be asked."""


class Changes:
    """The rows of one run, compared with those of the destination."""

    def __init__(self, read: Read | None, *, is_whole: bool) -> None:
        """Begin a run.

        Args:
            read: Asks the destination; without it all rows go on.
            is_whole: Whether the run reads the whole list.
        """
        self._read = read
        self._all: KnownRows | None = None
        self._new, self._changed, self._unchanged = 0, 0, 0
        self._met: list[pa.Array] = []
        self._loaded: list[pa.Array] = []
        if is_whole:
            self._read_all()

    @property
    def are_compared(self) -> bool:
        """Whether the destination is asked what it has."""
        return self._read is not None

    @property
    def is_empty_there(self) -> bool:
        """Whether the destination has no row, or no table, as far as is known."""
        return self._all is None or not len(self._all.ids)

    @property
    def known(self) -> KnownRows | None:
        """All rows that the destination has, if they were asked for."""
        return self._all

    def note_unchanged(self, ids: pa.Array) -> None:
        """Note objects that the destination is known to have just so."""
        self._unchanged += len(ids)
        self._met.append(ids)

    def new_rows(self, table: pa.Table) -> pa.Table:
        """Return the rows of a table that are new or have changed."""
        known = self._known(table["id"])
        if known is None:
            return table
        rows = table
        if len(known.hashes):
            are_new = [not known.has(one) for one in table[schemas.HASH.name].to_pylist()]
            rows = table.filter(pa.array(are_new, pa.bool_()))
        self._unchanged += table.num_rows - rows.num_rows
        if known is self._all:
            # compared with all those there, but once
            self._met += table["id"].chunks
            self._loaded += rows["id"].chunks
        else:
            self._count(rows["id"], known)
        return rows

    def counts(self) -> dict[str, Any]:
        """Return how many rows were new, changed and unchanged; None for the first two if nothing was compared."""
        if self._all is not None:
            self._count(pa.chunked_array(self._loaded, pa.string()), self._all)
            self._loaded = []
        new, changed = (None, None) if self._read is None else (self._new, self._changed)
        return {"new": new, "changed": changed, "unchanged": self._unchanged}

    def ids(self) -> tuple[pa.ChunkedArray, pa.ChunkedArray] | None:
        """Return the ids that the destination had, and those that the run met; None if nothing was compared."""
        return None if self._all is None else (self._all.ids, pa.chunked_array(self._met, pa.string()))

    def _known(self, ids: pa.ChunkedArray) -> KnownRows | None:
        if self._all is None and self._read is not None:
            if len(ids) <= MOST_IDS:
                return self._read(ids.to_pylist()) if len(ids) else None
            self._read_all()
        return self._all

    def _read_all(self) -> None:
        self._all = self._read and self._read(None)
        if self._all is None:
            self._read = None  # and it isn't asked again

    def _count(self, ids: pa.ChunkedArray, known: KnownRows) -> None:
        # looked up in the few ids, as a table of a million takes 50 MB for the other way round
        there = pc.sum(pc.is_in(known.ids, ids)).as_py() if len(known.ids) else 0
        self._changed += there
        self._new += len(ids) - there
