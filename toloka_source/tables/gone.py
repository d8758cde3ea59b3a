"""Which objects the account no longer has, and which it has again.

Their rows stay as they are. A part of a list looks just like a list of which the rest is gone, so nothing is noted when
too much is missing at once.
"""

import logging
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from toloka_source.catalog.schemas import GONE_ITEMS
from toloka_source.destinations.known_rows import rows_at

log = logging.getLogger(__name__)

TABLE = "gone_items"
"""The table of absences: a row for each, with the end of it once it has one."""

_AT_ONCE = 100_000

_ALWAYS = 10
"""So few may be missing at once, whatever share they are."""


def absences(
    resource: str, known: pa.ChunkedArray, met: pa.ChunkedArray, moment: datetime, most: float
) -> pa.Table | None:
    """Return the absences that began or ended since the last whole scan.

    Args:
        resource: The list.
        known: The ids that the destination has.
        met: The ids that the list has.
        moment: When it was read.
        most: The greatest share of the rows that may be missing at once.

    Returns:
        The rows for the table; None if it can't be read, or more is missing.
    """
    noted = rows_at(TABLE, GONE_ITEMS, "resource", [resource])
    if noted is None:
        return None
    open_ = _without_end(noted)
    missing = _without(known, met).to_pylist()
    new = [one for one in missing if one not in open_]
    if (missing and not len(met)) or len(new) > max(_ALWAYS, most * len(known)):
        log.warning(
            "%s: %d of %d objects are missing from the list; nothing is noted as gone, as the answer may be a part: "
            "if it is right, set gone_share to 1 for one run",
            resource,
            len(new),
            len(known),
        )
        return None
    back = met.filter(pc.is_in(met, pa.array(open_, pa.string()))).to_pylist()
    rows = [{"id": one, "gone_at": moment} for one in new]
    rows += [{"id": one, "gone_at": open_[one], "back_at": moment} for one in back]
    return pa.Table.from_pylist([{"resource": resource, **row} for row in rows], schema=GONE_ITEMS)


def _without(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids that aren't among the others, in parts: looking up a million takes 50 MB."""
    for start in range(0, len(others), _AT_ONCE):
        ids = ids.filter(pc.invert(pc.is_in(ids, others.slice(start, _AT_ONCE).combine_chunks())))
    return ids


def _without_end(noted: pa.Table) -> dict[str, datetime]:
    """Return since when each object is gone that isn't back; where rows are only added, an ended absence has two."""
    rows = noted.select(["id", "gone_at", "back_at"]).to_pylist()
    ended = {(row["id"], row["gone_at"]) for row in rows if row["back_at"] is not None}
    return {str(row["id"]): row["gone_at"] for row in rows if (row["id"], row["gone_at"]) not in ended}
