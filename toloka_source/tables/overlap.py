"""The rows around the cursor, which two neighbouring runs both see.

A window reaches back before the cursor. What is found there a second time, unchanged, isn't loaded a second time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from toloka_source.catalog.schemas import TEXT, TIMESTAMP
from toloka_source.tables.arrow import digests

MOST_ROWS = 100
"""Where more rows are so near to the cursor, none is noted and all are loaded again: the state stays small."""


class Overlap:
    """What the last run loaded near its cursor, and what this one loads near its own."""

    def __init__(self, cursors: Sequence[str], since: datetime, known: Mapping[str, str]) -> None:
        """Begin a run.

        Args:
            cursors: The endpoint's cursor fields.
            since: The start of the next run's window.
            known: What `noted` was at the end of the last run.
        """
        self._cursors = cursors
        self._since = pa.scalar(since, TIMESTAMP)
        self._known = known
        self._noted: dict[str, str] = {}
        self._rows = 0

    @property
    def noted(self) -> dict[str, str]:
        """Digests by id of the rows that the next run will see again."""
        return self._noted if self._rows <= MOST_ROWS else {}

    def new_rows(self, table: pa.Table) -> pa.Table:
        """Note the rows of a table that the next run will see again; return those that the last run hasn't loaded."""
        masks = [pc.fill_null(pc.greater(table[cursor], self._since), fill_value=False) for cursor in self._cursors]
        recent = table.filter(reduce(pc.or_, masks))
        self._rows += recent.num_rows
        if self._rows <= MOST_ROWS:
            self._noted |= _digests_by_id(recent)
        suspects = _digests_by_id(table.filter(_has_id(table, self._known)))
        seen = [key for key, digest in suspects.items() if self._known[key] == digest]
        return table.filter(pc.invert(_has_id(table, seen)))


def _has_id(table: pa.Table, ids: Iterable[str]) -> pa.Array:
    return pc.is_in(table["id"], pa.array(ids, TEXT))


def _digests_by_id(table: pa.Table) -> dict[str, str]:
    return dict(zip(table["id"].to_pylist(), digests(table), strict=True))
