"""Lanes: the queries that together cover a window.

An object belongs to the window (start, end] when one of its cursors lies in it. The API can't ask for "this one or that
one", so each cursor gets a lane of its own. The first cursor tells when an object came to be: where each object has it,
the other lanes take only what was there before the window, and leave the rest to the first. `trainings` are read by
`created`, then by `last_started`; one that never started has no `last_started`, and the lane of `created` finds it.
"""

from collections.abc import Iterator, Mapping

from toloka_source.catalog import Endpoint
from toloka_source.times import format_time
from toloka_source.window import Window


def lanes(endpoint: Endpoint, window: Window, filters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the query of each lane; together they cover the window.

    An object can be in several of them, see `do_overlap`.

    Args:
        endpoint: The list; one without cursors has one lane, whatever the window is.
        window: What to cover.
        filters: Further filters, as `Endpoint.check_filters` returns them; they narrow each lane.
    """
    if not endpoint.cursors:
        yield dict(filters)
        return
    end = {} if window.end is None else {"lte": format_time(window.end)}
    first = endpoint.cursors[0]
    if window.start is None:
        # a null matches no filter
        yield narrow(filters, {f"{first.name}_{how}": time for how, time in end.items() if first.is_never_null})
        return
    start = format_time(window.start)
    for cursor in endpoint.cursors:
        covered = {f"{first.name}_lte": start} if first.is_never_null and cursor != first else {}
        yield narrow(filters, {f"{cursor.name}_{how}": time for how, time in {"gt": start, **end}.items()} | covered)


def do_overlap(endpoint: Endpoint) -> bool:
    """Tell whether an object can be in several lanes."""
    first_covers = bool(endpoint.cursors) and endpoint.cursors[0].is_never_null
    return len(endpoint.cursors) > 1 + first_covers


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
