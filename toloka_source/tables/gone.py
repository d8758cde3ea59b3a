"""Which objects the account no longer has, and which it has again.

Their rows stay as they are. A part of a list looks just like a list of which the rest is gone, so nothing is noted when
too much is missing at once; and nothing at all is written when most of them are.
"""

import logging
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from toloka_source.destinations.known_rows import open_rows
from toloka_source.errors import AccountChangedError
from toloka_source.settings import Settings
from toloka_source.tables.further_tables import GONE_ITEMS, further_tables

log = logging.getLogger(__name__)

_AT_ONCE = 100_000

_ALWAYS = 10
"""So few may be missing at once, whatever share they are."""

_MOST = 0.5
"""When a greater share is missing it is another account's list, or the account has lost its objects."""


def absences(
    resource: str,
    known: pa.ChunkedArray,
    met: pa.ChunkedArray,
    moment: datetime,
    settings: Settings,
    allowed: int = 0,
    *,
    newest: bool = False,
) -> tuple[pa.Table | None, int]:
    """Return the absences that began or ended since the last whole scan.

    Args:
        resource: The list.
        known: The ids that the destination has.
        met: The ids that the list has.
        moment: When it was read.
        settings: Say how many may be missing at once.
        allowed: How many may be missing without being noted, as an earlier run was allowed to find so few.
        newest: Whether the destination keeps what a row was before it had an end.

    Returns:
        The rows for the table, None if it can't be read or too much is missing; and `allowed` for the next run.

    Raises:
        AccountChangedError: Most of them are missing, and that isn't allowed.
    """
    schema, key = further_tables(resource)[GONE_ITEMS]
    noted = open_rows(GONE_ITEMS, schema, key, "back_at", "resource", [resource], newest=newest)
    open_ = {} if noted is None else dict(zip(noted["id"].to_pylist(), noted["gone_at"].to_pylist(), strict=True))
    missing = left_out(known, met).to_pylist()
    new = [one for one in missing if one not in open_]
    if settings.allow_shrink:
        allowed = len(new)
    else:
        allowed = min(allowed, len(new))
        _check_shrink(resource, len(new) - allowed, len(known) - len(missing) + len(new) - allowed, settings.gone_share)
    if noted is None:
        return None, allowed
    if (missing and not len(met)) or len(new) > max(_ALWAYS, settings.gone_share * len(known)):
        log.warning(
            "%s: %d of %d objects are missing from the list; nothing is noted as gone, as the answer may be a part: "
            "if it is right, set gone_share to 1 for one run",
            resource,
            len(new),
            len(known),
        )
        return None, allowed
    back = met.filter(pc.is_in(met, pa.array(open_, pa.string()))).to_pylist()
    rows = [{"id": one, "gone_at": moment} for one in new]
    rows += [{"id": one, "gone_at": open_[one], "back_at": moment} for one in back]
    return pa.Table.from_pylist([{"resource": resource, **row} for row in rows], schema=schema), 0


def _check_shrink(resource: str, missing: int, before: int, share: float) -> None:
    if missing > _ALWAYS and (missing == before or missing > max(_MOST, share) * before):
        raise AccountChangedError(
            f"{resource}: {missing} of {before} objects that the table holds are missing from the list; nothing was "
            "written: check the token; if the list is right, run once with allow_shrink (--allow-shrink)"
        )


def left_out(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids that aren't among the others, in parts: looking up a million takes 50 MB."""
    for start in range(0, len(others), _AT_ONCE):
        ids = ids.filter(pc.invert(pc.is_in(ids, others.slice(start, _AT_ONCE).combine_chunks())))
    return ids
