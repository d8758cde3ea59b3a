"""An iterator that runs in a thread of its own, so that its reader never waits.

dlt can't close a generator that is running. One that waits for the API is therefore never running in dlt's eyes: it
says that there is nothing yet, and dlt asks again. So an error in one resource, a limit or Ctrl-C ends all others at
once.
"""

from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

_T = TypeVar("_T")


_END_SECONDS = 1.0
"""How long the thread may take to end; one that hangs in a look-up of a name is left behind."""


def run_ahead(items: Generator[_T], most: int, stop: Callable[[], object]) -> Iterator[_T | None]:
    """Yield what a generator yields, and None as long as there is nothing yet.

    Args:
        items: The generator; it runs in a daemon thread, and is closed there.
        most: How many of its items may be made and wait to be fetched.
        stop: Ends whatever the generator waits for.

    Raises:
        Exception: What the generator raised.
    """
    ready: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()
    room, stopped = Semaphore(most), Event()

    def run() -> None:
        error: BaseException | None = None
        try:
            while room.acquire() and not stopped.is_set():
                ready.put((next(items), None))
        except BaseException as raised:  # noqa: BLE001 - raised where the items are fetched; after the last, StopIteration
            error = raised
        finally:
            items.close()
            ready.put((None, error))

    thread = Thread(target=run, name="toloka-reader", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = ready.get_nowait()
            except Empty:
                yield None
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            room.release()
            yield item
    finally:
        stopped.set()
        room.release()
        stop()
        thread.join(_END_SECONDS)
