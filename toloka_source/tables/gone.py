"""Which objects the account no longer has, and which it has again.

Their rows stay as they are. A part of a list looks just like a list of which the rest is gone, so nothing is noted when
too much is missing at once; and nothing at all is written when most of them are.
"""

import logging
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toloka_source.destinations.known_rows import open_rows
from toloka_source.settings import Settings
from toloka_source.tables.further_tables import GONE_ITEMS, further_tables

log = logging.getLogger(__name__)

_AT_ONCE = 100_000

_ALWAYS = 10
"""So few may be missing at once, whatever share they are."""

_MISSING = "missing"
"""Where a resource's state holds how many rows the list lacks without being noted as gone, as that was allowed."""

_MOST = 0.5
"""When a greater share is missing it is another account's list, or the account has lost its objects."""


def absences(
    resource: str,
    known: pa.ChunkedArray,
    met: pa.ChunkedArray,
    moment: datetime,
    settings: Settings,
    state: dict[str, Any],
    *,
    newest: bool = False,
) -> tuple[pa.Table | None, str]:
    """Return the absences that began or ended since the last whole scan.

    Args:
        resource: The list.
        known: The ids that the destination has.
        met: The ids that the list has.
        moment: When it was read.
        settings: Say how many may be missing at once.
        state: The resource's; it keeps how many an earlier run was allowed to miss.
        newest: Whether the destination keeps what a row was before it had an end.

    Returns:
        The rows for the table, None if it can't be read or too much is missing; and what to say where most objects are
        missing and that isn't allowed.
    """
    schema, key = further_tables(resource)[GONE_ITEMS]
    noted = open_rows(GONE_ITEMS, schema, key, "back_at", "resource", [resource], newest=newest)
    open_ = {} if noted is None else dict(zip(noted["id"].to_pylist(), noted["gone_at"].to_pylist(), strict=True))
    missing = left_out(known, met).to_pylist()
    new = [one for one in missing if one not in open_]
    allowed = len(new) if settings.allow_shrink else min(state.get(_MISSING, 0), len(new))
    more = len(new) - allowed
    shrink = _shrink(resource, more, len(known) - len(missing) + more, settings.gone_share)
    if shrink:
        return None, shrink
    state[_MISSING] = allowed
    if noted is None:
        return None, ""
    if (missing and not len(met)) or len(new) > max(_ALWAYS, settings.gone_share * len(known)):
        log.warning(
            "%s: %d of %d objects are missing from the list; nothing is noted as gone, as the answer may be a part: "
            "if it is right, set gone_share to 1 for one run",
            resource,
            len(new),
            len(known),
        )
        return None, ""
    state[_MISSING] = 0
    back = met.filter(pc.is_in(met, pa.array(open_, pa.string()))).to_pylist()
    rows = [{"id": one, "gone_at": moment} for one in new]
    rows += [{"id": one, "gone_at": open_[one], "back_at": moment} for one in back]
    return pa.Table.from_pylist([{"resource": resource, **row} for row in rows], schema=schema), ""


def _shrink(resource: str, missing: int, before: int, share: float) -> str:
    if missing <= _ALWAYS or (missing < before and missing <= max(_MOST, share) * before):
        return ""
    return (
        f"{resource}: {missing} of {before} objects that the table holds are missing from the list; nothing was "
        "written, and nothing is noted as gone: check the token; if the list is right, run once with allow_shrink "
        "(--allow-shrink)"
    )


def left_out(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the ids that aren't among the others, in parts: looking up a million takes 50 MB."""
    for start in range(0, len(others), _AT_ONCE):
        ids = ids.filter(pc.invert(pc.is_in(ids, others.slice(start, _AT_ONCE).combine_chunks())))
    return ids
