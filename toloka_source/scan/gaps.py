"""What is left of a pass over many pages that several workers read at once: the gaps between pages that were read.

A gap is read from both of its ends at once, by two workers; when there are more workers than ends, the largest gap is
cut in two. Nobody knows how the ids lie: a cut is made where the middle of the objects would be if they grew denser
steadily from one end to the other. It is then read downwards and upwards from the cut, so that after one page each the
emptiness around the cut is known, however wide it is; until then neither part is cut again.

Two workers that meet in a gap may have read some objects both: what was read first counts. A gap costs at most one
page that isn't full, and one more where two workers met. Nothing is begun that could make more of the requests vain
than a small part of all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from toloka_source.api.client import Page

WASTE = 0.14
"""The part of the requests that may be more than one page after the other would need."""

_WIDE = 2
"""How many pages a gap may hold at least for another worker to begin in it."""


@dataclass(frozen=True)
class IdRange:
    """Ids greater than `low` and up to `high`, read from one end.

    Attributes:
        low: Not in the range itself.
        high: In the range.
        downwards: Whether it is read from its greatest id.
    """

    low: int
    high: int
    downwards: bool


@dataclass(frozen=True)
class Gap:
    """Ids greater than `low` and up to `high` of which nothing was read yet.

    Attributes:
        low: Not in the gap itself.
        high: In the gap.
        low_density: Objects for each id near the low end, as far as is known.
        high_density: The same near the high end.
        cut_at: The end where the gap was cut and not yet read, so that its density is a guess.
    """

    low: int
    high: int
    low_density: float
    high_density: float
    cut_at: int | None = None

    @property
    def objects(self) -> float:
        """How many there may be, by the densities' geometric mean."""
        return (self.high - self.low) * sqrt(self.low_density * self.high_density)

    def halves(self) -> "tuple[Gap, Gap]":
        """Cut where half of these objects may be."""
        share = 1 / (1 + sqrt(self.low_density / self.high_density))
        cut = min(max(self.low + int((self.high - self.low) * share), self.low + 1), self.high - 1)
        density = sqrt(self.low_density * self.high_density)
        return (
            replace(self, high=cut, high_density=density, cut_at=cut),
            replace(self, low=cut, low_density=density, cut_at=cut),
        )

    def meets(self, other: IdRange) -> bool:
        """Tell whether they have an id in common."""
        return self.low < other.high and other.low < self.high

    def without(self, read: IdRange, density: float) -> "Iterator[Gap]":
        """Yield what is left of the gap when a range was read, at whose ends the objects lie this dense."""
        if not self.meets(read):
            yield self
            return
        if self.low < read.low:
            yield replace(self, high=read.low, high_density=density, cut_at=self._still_cut_at(self.low))
        if read.high < self.high:
            yield replace(self, low=read.high, low_density=density, cut_at=self._still_cut_at(self.high))

    def _still_cut_at(self, end: int) -> int | None:
        return end if self.cut_at == end else None


def density(ids: Sequence[int]) -> float:
    """Return how many objects there are for each id, where a page ended."""
    last = ids[-max(len(ids) // 4, 2) :]
    return len(last) / (abs(last[-1] - last[0]) + 1)


class Gaps:
    """All gaps of one pass, from the lowest ids to the highest, and who reads where; for one thread at a time."""

    def __init__(self, whole: Gap, workers: int, page_size: int) -> None:
        """Begin with one gap: what lies between the first page and the last, which were read already.

        Args:
            whole: The gap.
            workers: How many pages are read at once.
            page_size: Objects in a full page.
        """
        self._gaps = [whole]
        self._reading: list[IdRange] = []
        self._workers = workers
        self._page_size = page_size
        self._full_pages = 2.0  # the first and the last page
        self._requests = 2

    @property
    def is_left(self) -> bool:
        """Whether anything is left to read, or is being read."""
        return bool(self._gaps or self._reading)

    def begin(self) -> IdRange | None:
        """Return what another worker should read a page of; None if nothing may be begun now."""
        wanted = self._next_range()
        if wanted is not None:
            self._reading.append(wanted)
        return wanted

    def end(self, wanted: IdRange, page: Page, ids: Sequence[int | None]) -> Page:
        """Note that a page was read; return it without the objects that another worker has read before.

        Args:
            wanted: What `begin` returned.
            page: The page that was read of it.
            ids: The id of each of its objects, None for one that has none.
        """
        known = [item_id for item_id in ids if item_id is not None]
        read = wanted
        if page.has_more:
            read = replace(wanted, low=known[-1] - 1) if wanted.downwards else replace(wanted, high=known[-1])
        met = [gap for gap in self._gaps if gap.meets(read)]
        if len(met) != 1 or not met[0].low <= read.low < read.high <= met[0].high:
            page = _only(page, ids, met)
        self._gaps = [left for gap in self._gaps for left in gap.without(read, density(known) if known else 1.0)]
        self._reading.remove(wanted)
        self._requests += 1
        self._full_pages += len(page.items) / self._page_size
        return page

    def _next_range(self) -> IdRange | None:
        """Return an end of a gap at which nobody reads, if it may be begun; cut the largest gap if there is none."""
        being_read = self._being_read()
        if unread := [gap for gap in self._gaps if not being_read[gap]]:
            return _from_end(max(unread, key=_objects))
        # as many pages as this may turn out to be all but empty
        vain = self._requests - self._full_pages + len(self._reading) + 1
        wide = [gap for gap in self._gaps if gap.objects >= _WIDE * self._page_size]
        if not wide or vain > max(self._workers + 1, WASTE * self._full_pages):
            return None
        if half_read := [gap for gap in wide if len(being_read[gap]) == 1]:
            gap = max(half_read, key=_objects)
            return IdRange(gap.low, gap.high, downwards=not being_read[gap].pop())
        if known := [gap for gap in wide if gap.cut_at is None and gap.high - gap.low > 1]:
            gap = max(known, key=_objects)
            place = self._gaps.index(gap)
            self._gaps[place : place + 1] = gap.halves()
            return _from_end(max(gap.halves(), key=_objects))
        return None

    def _being_read(self) -> dict[Gap, set[bool]]:
        """Return for each gap the directions in which somebody reads it: what begins elsewhere may end in it."""
        being_read: dict[Gap, set[bool]] = {gap: set() for gap in self._gaps}
        for other in self._reading:
            met = [gap for gap in self._gaps if gap.meets(other)]
            if met:
                being_read[met[-1] if other.downwards else met[0]].add(other.downwards)
        return being_read


def _from_end(gap: Gap) -> IdRange:
    """Return the gap from the end where it was cut, or else from its low end."""
    return IdRange(gap.low, gap.high, downwards=gap.cut_at == gap.high)


def _objects(gap: Gap) -> float:
    return gap.objects


def _only(page: Page, ids: Sequence[int | None], gaps: Sequence[Gap]) -> Page:
    """Return the page with the objects of these gaps alone, and those without an id."""
    items = [
        item
        for item, item_id in zip(page.items, ids, strict=True)
        if item_id is None or any(gap.low < item_id <= gap.high for gap in gaps)
    ]
    return replace(page, items=items)
