"""The pages of one window, each checked by what the list promises.

Paging is by key: `sort=id` and `id_gt` of the last id. Objects that are added meanwhile can't shift a page, and ties
of a time at the edge of a page can't get lost. Many pages are read at once, by ranges of ids, see `parallel.py`.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import msgspec

from toloka_source.api.client import Client, Item, Page
from toloka_source.catalog import Endpoint
from toloka_source.errors import ProtocolError, RequestError, shortened
from toloka_source.scan.gaps import Gap, IdRange, density
from toloka_source.scan.ids import NUMBERS
from toloka_source.scan.lanes import do_overlap, is_number, lanes, narrow, order
from toloka_source.scan.parallel import read_ranges
from toloka_source.window import Window

log = logging.getLogger(__name__)


def scan(
    client: Client, endpoint: Endpoint, window: Window, filters: Mapping[str, str], workers: int = 1
) -> Iterator[Page]:
    """Yield all pages of a window, at least one for each lane; each object once.

    Raises:
        ProtocolError: A page that breaks the contract of the list, see `read_pages`.
        ApiError: See `Client.get_page`.
    """
    met: set[str | None] = set()
    for query in lanes(endpoint, window, filters):
        for page in read_pages(client, endpoint, query, workers):
            yield _without(page, met) if do_overlap(endpoint) else page


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
    if page.has_more and workers > 1 and endpoint.ids in NUMBERS and (last := pages.last(ids)):
        page, gap = last
        yield page
        if gap is not None:
            yield from read_ranges(pages.of_range, gap, workers, endpoint.page_size)
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
        self._numbers = NUMBERS.get(endpoint.ids, NUMBERS["decimal"])
        self._seen: set[str] = set()

    def after(self, last_id: str | None) -> tuple[Page, list[str]]:
        """Return the page after an id, and its ids."""
        page, found = self._get({} if last_id is None else {"id_gt": last_id}, "id")
        # an object without an id becomes a rejected row; paging goes by the others
        texts = [item_id for item_id in found if item_id is not None]
        ids = texts
        if self._endpoint.ids == "decimal":
            ids = [item_id for item_id in texts if is_number(item_id)] or texts
        for before, after in pairwise(ids if last_id is None else [last_id, *ids]):
            if not self._follows(after, before):
                raise ProtocolError(f"{self._endpoint.name}: id {after!r} came after {before!r}, though sorted by id")
        return page, ids

    def last(self, first_ids: Sequence[str]) -> tuple[Page, Gap | None] | None:
        """Return the page with the greatest ids, and the gap between the first page and this one if there is one.

        None if that can't be told: then the pages are to be read in order.
        """
        first = self._known_numbers(first_ids)
        if len(first) == len(first_ids):
            try:
                page, found = self._get({"id_gt": first_ids[-1]}, "-id")
            except (RequestError, ProtocolError):
                found = []
            ids = self._known_numbers(found)
            if ids and len(ids) == len(found) and _fall([*ids, first[-1]]):
                gap = Gap(first[-1], ids[-1] - 1, density(first), density(ids))
                return page, gap if page.has_more else None
        log.warning("%s: the API doesn't sort by -id; the pages are read one after the other", self._endpoint.name)
        return None

    def of_range(self, wanted: IdRange) -> tuple[Page, list[int | None]]:
        """Return a page of a range, and the id of each of its objects."""
        write = self._numbers.text
        bounds = {"id_gt": write(wanted.low), "id_lte": write(wanted.high)}
        page, texts = self._get(bounds, "-id" if wanted.downwards else "id")
        ids = [self._number(text) for text in texts]
        known = [number for number in ids if number is not None]
        falling = known if wanted.downwards else known[::-1]
        if not _fall([wanted.high + 1, *falling, wanted.low]) or (not known and any(texts)):
            raise ProtocolError(f"{self._endpoint.name}: ids {_first_few(texts)} came, asked for {wanted}")
        if page.has_more and known[-1] == (wanted.low + 1 if wanted.downwards else wanted.high):
            raise ProtocolError(f"{self._endpoint.name}: has_more is true, though no id is left in {wanted}")
        return page, ids

    def _get(self, bounds: Mapping[str, str], sort: str) -> tuple[Page, list[str | None]]:
        """Return a page, and the id of each of its objects, None for one that has none."""
        paging = {"sort": sort, "limit": str(self._endpoint.page_size)}
        page = self._client.get_page(self._endpoint.path, narrow(self._query, bounds) | paging)
        ids = [_id(item) for item in page.items]
        if page.has_more and not any(ids):
            raise ProtocolError(f"{self._endpoint.name}: has_more is true on a page without objects that have an id")
        return page, ids

    def _number(self, item_id: str | None) -> int | None:
        """Return the number of an id with which ranges can be computed; None for others."""
        return None if item_id is None else self._numbers.of(item_id)

    def _known_numbers(self, ids: Sequence[str | None]) -> list[int]:
        numbers = map(self._number, ids)
        return [number for number in numbers if number is not None]

    def _follows(self, after: str, before: str) -> bool:
        if self._endpoint.ids == "decimal" and is_number(after) and is_number(before):
            return order(after) > order(before)
        if self._endpoint.ids == "object_id" and len(self._known_numbers([after, before])) == 2:  # noqa: PLR2004 - both
            return after > before
        # nobody knows the order of other ids: none may come twice, so that the pass ends
        self._seen.add(before)
        return after not in self._seen


def _without(page: Page, met: set[str | None]) -> Page:
    """Return the page without the objects that another lane has brought, and note what is in it."""
    ids = [_id(item) for item in page.items]
    new = [item for item, item_id in zip(page.items, ids, strict=True) if item_id is None or item_id not in met]
    met.update(ids)
    return replace(page, items=new)


def _first_few(texts: Sequence[str | None]) -> str:
    shown = ", ".join(shortened(str(text), 20) for text in texts[:5])
    return f"{shown} and {len(texts) - 5} others" if len(texts) > 5 else shown  # noqa: PLR2004


def _fall(ids: Sequence[int]) -> bool:
    return all(before > after for before, after in pairwise(ids))


def _id(item: Item) -> str | None:
    """Return the object's id if it is one to go on from."""
    try:
        return msgspec.json.decode(item["id"], type=str) or None
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None
