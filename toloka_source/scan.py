"""The requests that make one window complete.

An object belongs to the window (start, end] when one of its cursor fields lies in it. The API can't ask for "this one
or that one", so each cursor field gets a lane of its own, and the lanes can't overlap: the lane of the second field
takes only what was created before the window. A training that never started has no `last_started`: the lane of
`created` finds it.

Paging is by key: `sort=id` and `id_gt` of the last id. Objects that are added meanwhile can't shift a page, and ties
of a time at the edge of a page can't get lost.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from toloka_source.client import Client, Item, Page
from toloka_source.endpoints import Endpoint
from toloka_source.errors import ProtocolError
from toloka_source.times import format_time

_DecimalNumber = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\Z")]


@dataclass(frozen=True)
class Window:
    """The times (start, end] that a run covers, UTC; None is no bound.

    Attributes:
        start: Not in the window itself, so that neighbours don't overlap.
        end: In the window.
        whole: Whether the window is all that is ever to be loaded, rather than a part of it.
    """

    start: datetime | None = None
    end: datetime | None = None
    whole: bool = False


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
        narrowed[name] = (max if name.endswith(("_gt", "_gte")) else min)(values, key=_order)
    return narrowed


def _order(value: str) -> tuple[int, str]:
    """Order ids as numbers, of any length, and times (all of one length) as times."""
    digits = value.lstrip("0") if value.isdecimal() else value
    return len(digits), digits


def scan(client: Client, endpoint: Endpoint, window: Window, filters: Mapping[str, str]) -> Iterator[Page]:
    """Yield all pages of a window, at least one for each lane.

    Raises:
        ProtocolError: A page that breaks the contract of the list, see `read_pages`.
        ApiError: See `Client.get_page`.
    """
    for query in lanes(endpoint, window, filters):
        yield from read_pages(client, endpoint, query)


def read_pages(client: Client, endpoint: Endpoint, query: Mapping[str, str]) -> Iterator[Page]:
    """Yield the pages of one pass in the order of ids.

    Raises:
        ProtocolError: Ids that don't rise, or `has_more` on a page that leaves no id to go on from: going on could
            lose objects, or never end.
    """
    paging = {"sort": "id", "limit": str(endpoint.page_size)}
    last_id: str | None = None
    while True:
        page = client.get_page(endpoint.path, narrow(query, {} if last_id is None else {"id_gt": last_id}) | paging)
        new_last_id = _check_ids(endpoint, page, last_id)
        if page.has_more and new_last_id == last_id:
            raise ProtocolError(f"{endpoint.name}: has_more is true on a page without objects that have an id")
        yield page
        if not page.has_more:
            return
        last_id = new_last_id


def _check_ids(endpoint: Endpoint, page: Page, last_id: str | None) -> str | None:
    """Return the page's last id, or the given one when it has none."""
    for item in page.items:
        item_id = _id(item)
        if item_id is None:
            continue  # becomes a rejected row; paging goes by the others
        if last_id is not None and not _follows(item_id, last_id):
            raise ProtocolError(f"{endpoint.name}: id {item_id!r} came after {last_id!r}, though sorted by id")
        last_id = item_id
    return last_id


def _follows(item_id: str, last_id: str) -> bool:
    return _order(item_id) > _order(last_id)


def _id(item: Item) -> str | None:
    """Return the object's id if it is one to go on from: a decimal number, in a string."""
    try:
        return msgspec.json.decode(item["id"], type=_DecimalNumber)
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None
