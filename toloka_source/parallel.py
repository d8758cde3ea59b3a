"""One pass over many pages, read by several workers at once.

The ids of a pass are cut into ranges. A worker reads one page of a range, upwards from its low end or downwards from
its high end; what is left of the range is the next piece of work, and is cut in two while a worker is idle. Nobody
knows how the ids lie: a cut is made where the middle of the objects would be if they grew denser steadily from one end
to the other. The lower part is then read downwards from the cut and the upper part upwards, so that after one page each
the gap around the cut is known, however wide it is.

A range costs at most one page that isn't full. Cuts stop when the pages that may turn out so would be more than a
small part of all.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import log, sqrt
from threading import Condition, Thread

from toloka_source.client import Page

WASTE = 0.14
"""The part of the requests that may be more than one page after the other would need."""

_EVEN = 1e-6


@dataclass(frozen=True)
class IdRange:
    """Ids greater than `low` and up to `high`.

    Attributes:
        low: Not in the range itself.
        high: In the range.
        low_density: Objects for each id near the low end, as far as is known.
        high_density: The same near the high end.
        downwards: Whether it is read from its greatest id.
    """

    low: int
    high: int
    low_density: float
    high_density: float
    downwards: bool = False

    @property
    def objects(self) -> float:
        """How many there may be: the density falls off like 1 / x from the denser end."""
        ratio = self.low_density / self.high_density
        mean = self.low_density if abs(ratio - 1) < _EVEN else (self.low_density - self.high_density) / log(ratio)
        return (self.high - self.low) * mean

    def halves(self) -> "tuple[IdRange, IdRange]":
        """Cut where half of these objects may be; both parts are then read from the cut."""
        share = 1 / (1 + sqrt(self.low_density / self.high_density))
        middle = min(max(self.low + int((self.high - self.low) * share), self.low + 1), self.high - 1)
        density = sqrt(self.low_density * self.high_density)
        return (
            replace(self, high=middle, high_density=density, downwards=True),
            replace(self, low=middle, low_density=density, downwards=False),
        )


Read = Callable[[IdRange], tuple[Page, IdRange | None]]
"""Reads one page of a range, and returns what is left of the range; called by several threads."""


def read_ranges(read: Read, whole: IdRange, workers: int, page_size: int) -> Iterator[Page]:
    """Yield all pages of a range of ids, in no order.

    Args:
        read: Reads one page.
        whole: The range.
        workers: How many pages are read at once.
        page_size: Objects in a full page.

    Raises:
        Exception: What `read` raised first; the other workers end when they have read their page.
    """
    work = _Work(whole, workers, page_size)
    for number in range(workers):
        Thread(target=_do, args=(work, read), name=f"toloka-pages-{number}", daemon=True).start()
    try:
        while (page := work.next_page()) is not None:
            yield page
    finally:
        work.stop()


def _do(work: "_Work", read: Read) -> None:
    while (piece := work.take()) is not None:
        try:
            page, rest = read(piece)
        except BaseException as error:  # noqa: BLE001 - raised where the pages are read
            work.stop(error)
        else:
            work.put(page, rest)


class _Work:
    """The ranges that are left and the pages that were read, shared by workers and reader."""

    def __init__(self, whole: IdRange, workers: int, page_size: int) -> None:
        self._workers = workers
        self._page_size = page_size
        self._changed = Condition()
        self._ranges: list[IdRange] = []
        self._pages: deque[Page] = deque()
        self._reading = 0
        self._stopped = False
        self._error: BaseException | None = None
        # the first page and the request for the greatest id are done
        self._requests = 2
        self._full_pages = 1.0
        self._add(whole)

    def take(self) -> IdRange | None:
        """Wait for a range to read; None when nothing is left."""
        with self._changed:
            # pages that nobody has fetched yet are memory: no more than a few
            self._changed.wait_for(
                lambda: self._stopped or self._is_done() or (self._ranges and len(self._pages) < 2 * self._workers)
            )
            if self._stopped or not self._ranges:
                return None
            self._reading += 1
            return self._ranges.pop(0)

    def put(self, page: Page, rest: IdRange | None) -> None:
        """Hand a page over to the reader, and what is left of its range to the workers."""
        with self._changed:
            self._reading -= 1
            self._requests += 1
            self._full_pages += len(page.items) / self._page_size
            self._pages.append(page)
            if rest is not None:
                self._add(rest)
            self._changed.notify_all()

    def next_page(self) -> Page | None:
        """Wait for a page; None after the last.

        Raises:
            BaseException: What stopped the work.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._pages or self._is_done())
            if self._error is not None:
                raise self._error
            page = self._pages.popleft() if self._pages else None
            self._changed.notify_all()
            return page

    def stop(self, error: BaseException | None = None) -> None:
        """End the work; the first error is the one that the reader gets."""
        with self._changed:
            self._error = self._error or error
            self._stopped = True
            self._changed.notify_all()

    def _is_done(self) -> bool:
        return not self._ranges and not self._reading

    def _add(self, piece: IdRange) -> None:
        """Add a range, in two parts if a worker would be idle otherwise."""
        if piece.high - piece.low > 1 and piece.objects >= 2 * self._page_size and self._may_cut():
            self._ranges += piece.halves()
        else:
            self._ranges.append(piece)

    def _may_cut(self) -> bool:
        ranges = self._reading + len(self._ranges) + 1
        wasted = self._requests - self._full_pages
        # each range may end with a page that is all but empty
        return ranges < self._workers and wasted + ranges + 1 <= max(self._workers + 1, WASTE * self._full_pages)
