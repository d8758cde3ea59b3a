"""The requests that make one window complete.

An object belongs to the window (start, end] when one of its cursor fields lies in it. The API can't ask for "this one
or that one", so each cursor field gets a lane of its own, and the lanes can't overlap: the lane of the second field
takes only what was created before the window. A training that never started has no `last_started`: the lane of
`created` finds it.

Paging is by key: `sort=id` and `id_gt` of the last id. Objects that are added meanwhile can't shift a page, and ties
of a time at the edge of a page can't get lost. Many pages are read at once, by ranges of ids, see `parallel.py`.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import msgspec

from toloka_source.client import Client, Item, Page
from toloka_source.endpoints import Endpoint
from toloka_source.errors import ProtocolError, RequestError
from toloka_source.parallel import IdRange, read_ranges
from toloka_source.times import format_time

log = logging.getLogger(__name__)


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
    digits = value.lstrip("0") if _is_number(value) else value
    return len(digits), digits


def scan(
    client: Client, endpoint: Endpoint, window: Window, filters: Mapping[str, str], workers: int = 1
) -> Iterator[Page]:
    """Yield all pages of a window, at least one for each lane.

    Raises:
        ProtocolError: A page that breaks the contract of the list, see `read_pages`.
        ApiError: See `Client.get_page`.
    """
    for query in lanes(endpoint, window, filters):
        yield from read_pages(client, endpoint, query, workers)


def read_pages(client: Client, endpoint: Endpoint, query: Mapping[str, str], workers: int = 1) -> Iterator[Page]:
    """Yield the pages of one pass: the one with the least ids, then the others, in no order if there are many.

    Args:
        client: Reads them.
        endpoint: The list.
        query: The pass's filters.
        workers: How many pages are read at once; with 1 they come in the order of ids.

    Raises:
        ProtocolError: Ids that don't rise, or `has_more` on a page that leaves no id to go on from: going on could
            lose objects, or never end.
    """
    pages = _Pages(client, endpoint, query)
    page, ids = pages.after(None)
    yield page
    if page.has_more and workers > 1 and (rest := pages.rest(ids)):
        yield from read_ranges(pages.of_range, rest, workers, endpoint.page_size)
        return
    while page.has_more:
        page, ids = pages.after(ids[-1])
        yield page


class _Pages:
    """Reads the pages of one pass, and checks each by what the list promises."""

    def __init__(self, client: Client, endpoint: Endpoint, query: Mapping[str, str]) -> None:
        self._client = client
        self._endpoint = endpoint
        self._query = query
        self._seen: set[str] = set()

    def after(self, last_id: str | None) -> tuple[Page, list[str]]:
        """Return the page after an id, and its ids."""
        page, ids = self._get({} if last_id is None else {"id_gt": last_id}, "id")
        for before, after in pairwise(ids if last_id is None else [last_id, *ids]):
            if not self._follows(after, before):
                raise ProtocolError(f"{self._endpoint.name}: id {after!r} came after {before!r}, though sorted by id")
        return page, ids

    def of_range(self, piece: IdRange) -> tuple[Page, IdRange | None]:
        """Return a page of a range, and what is left of the range."""
        bounds = {"id_gt": str(piece.low), "id_lte": str(piece.high)}
        page, texts = self._get(bounds, "-id" if piece.downwards else "id")
        ids = [int(text) if _is_number(text) else piece.low for text in texts]  # no number: breaks the order
        upwards = ids[::-1] if piece.downwards else ids
        if not all(before < after for before, after in pairwise([piece.low, *upwards, piece.high + 1])):
            raise ProtocolError(f"{self._endpoint.name}: ids {texts} came, asked for {piece}")
        if not page.has_more:
            return page, None
        if piece.downwards:
            rest = replace(piece, high=ids[-1] - 1, high_density=_density(ids))
        else:
            rest = replace(piece, low=ids[-1], low_density=_density(ids))
        if rest.low >= rest.high:
            raise ProtocolError(f"{self._endpoint.name}: has_more is true, though no id is left in {piece}")
        return page, rest

    def rest(self, ids: Sequence[str]) -> IdRange | None:
        """Return the range of ids after the first page; None if it can't be told, so that pages are read in order."""
        try:
            _, greatest = self._get({}, "-id", limit=1)
        except (RequestError, ProtocolError):
            greatest = []
        if greatest and all(map(_is_number, [*ids, *greatest])) and int(greatest[0]) > int(ids[-1]):
            low, high = int(ids[-1]), int(greatest[0])
            density = _density([int(item_id) for item_id in ids])
            return IdRange(low, high, density, density)
        log.warning("%s: the API doesn't sort by -id; the pages are read one after the other", self._endpoint.name)
        return None

    def _get(self, bounds: Mapping[str, str], sort: str, limit: int | None = None) -> tuple[Page, list[str]]:
        paging = {"sort": sort, "limit": str(limit or self._endpoint.page_size)}
        page = self._client.get_page(self._endpoint.path, narrow(self._query, bounds) | paging)
        # an object without an id becomes a rejected row; paging goes by the others
        texts = [item_id for item in page.items if (item_id := _id(item)) is not None]
        ids = [item_id for item_id in texts if _is_number(item_id)] or texts
        if page.has_more and not ids:
            raise ProtocolError(f"{self._endpoint.name}: has_more is true on a page without objects that have an id")
        return page, ids

    def _follows(self, after: str, before: str) -> bool:
        if _is_number(after) and _is_number(before):
            return _order(after) > _order(before)
        # nobody knows the order of other ids: none may come twice, so that the pass ends
        self._seen.add(before)
        return after not in self._seen


def _density(ids: Sequence[int]) -> float:
    """Return how many objects there are for each id, where a page ended."""
    last = ids[-max(len(ids) // 4, 2) :]
    return len(last) / (abs(last[-1] - last[0]) + 1)


def _is_number(item_id: str) -> bool:
    return item_id.isascii() and item_id.isdecimal()


def _id(item: Item) -> str | None:
    """Return the object's id if it is one to go on from."""
    try:
        return msgspec.json.decode(item["id"], type=str) or None
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None
