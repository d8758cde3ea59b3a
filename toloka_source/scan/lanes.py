"""Lanes: the queries that together cover a window.

An object belongs to the window (start, end] when one of its cursor fields lies in it. The API can't ask for "this one
or that one", so each cursor field gets a lane of its own, and the lanes can't overlap: the lane of the second field
takes only what was created before the window. A training that never started has no `last_started`: the lane of
`created` finds it.
"""

from collections.abc import Iterator, Mapping

from toloka_source.catalog.endpoints import Endpoint
from toloka_source.times import format_time
from toloka_source.window import Window


def lanes(endpoint: Endpoint, window: Window, filters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the query of each lane; together they cover the window, and no object is in two of them.

    Args:
        endpoint: The list.
        window: What to cover.
        filters: Further filters, as `Endpoint.check_filters` returns them; they narrow each lane.
    """
    end = {} if window.end is None else {"lte": format_time(window.end)}
    if window.start is None:
        yield narrow(filters, {f"{endpoint.cursors[0]}_{name}": time for name, time in end.items()})
        return
    start = format_time(window.start)
    for number, cursor in enumerate(endpoint.cursors):
        bounds = {f"{cursor}_gt": start, **{f"{cursor}_{name}": time for name, time in end.items()}}
        covered = {f"{earlier}_lte": start for earlier in endpoint.cursors[:number]}
        yield narrow(filters, bounds | covered)


def narrow(query: Mapping[str, str], bounds: Mapping[str, str]) -> dict[str, str]:
    """Return the query with the bounds added; where it has one of them already, the narrower one stays."""
    narrowed = dict(query)
    for name, value in bounds.items():
        values = (value, query.get(name, value))
        narrowed[name] = (max if name.endswith(("_gt", "_gte")) else min)(values, key=order)
    return narrowed


def order(value: str) -> tuple[int, str]:
    """Order ids as numbers, of any length, and times (all of one length) as times."""
    digits = value.lstrip("0") if is_number(value) else value
    return len(digits), digits


def is_number(item_id: str) -> bool:
    """Tell whether an id is a decimal number."""
    return item_id.isascii() and item_id.isdecimal()
