"""One pass over many pages, read by several workers at once; `gaps.py` says who reads what."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import Condition, Thread

from toloka_source.api.client import Page
from toloka_source.scan.gaps import Gap, Gaps, IdRange

_END_SECONDS = 0.5
"""How long each worker may take to end when nobody wants more pages."""

Read = Callable[[IdRange], tuple[Page, Sequence[int | None]]]
"""Reads one page of a range; also returns the id of each of its objects, None for one that has none."""


def read_ranges(read: Read, whole: Gap, workers: int, page_size: int) -> Iterator[Page]:
    """Yield all pages of a gap, in no order.

    Args:
        read: Reads one page; called by several threads.
        whole: What lies between the first page and the last, which were read already.
        workers: How many pages are read at once.
        page_size: Objects in a full page.

    Raises:
        Exception: What `read` raised first; the other workers end when they have read their page.
    """
    work = _Work(whole, workers, page_size)
    threads = [Thread(target=_do, args=(work, read), name=f"toloka-pages-{n}", daemon=True) for n in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while (page := work.next_page()) is not None:
            yield page
    except GeneratorExit:
        work.stop()
        for thread in threads:
            thread.join(_END_SECONDS)
        raise
    finally:
        work.stop()


def _do(work: "_Work", read: Read) -> None:
    while (wanted := work.take()) is not None:
        try:
            page, ids = read(wanted)
        except BaseException as error:  # noqa: BLE001 - raised where the pages are read
            work.stop(error)
        else:
            work.put(wanted, page, ids)


class _Work:
    """The gaps that are left and the pages that were read, shared by workers and reader."""

    def __init__(self, whole: Gap, workers: int, page_size: int) -> None:
        self._gaps = Gaps(whole, workers, page_size)
        self._most_pages = 2 * workers
        self._pages: deque[Page] = deque()
        self._changed = Condition()
        self._stopped = False
        self._error: BaseException | None = None

    def take(self) -> IdRange | None:
        """Wait for a range to read a page of; None when nothing is left."""
        with self._changed:
            while not self._stopped and self._gaps.is_left:
                # pages that nobody has fetched yet are memory: no more than a few
                if len(self._pages) < self._most_pages and (wanted := self._gaps.begin()):
                    self._changed.notify_all()  # it may have cut a gap, of which another may read the other part
                    return wanted
                self._changed.wait()
            return None

    def put(self, wanted: IdRange, page: Page, ids: Sequence[int | None]) -> None:
        """Hand a page over to the reader."""
        with self._changed:
            self._pages.append(self._gaps.end(wanted, page, ids))
            self._changed.notify_all()

    def next_page(self) -> Page | None:
        """Wait for a page; None after the last.

        Raises:
            BaseException: What stopped the work.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._pages or not self._gaps.is_left)
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
