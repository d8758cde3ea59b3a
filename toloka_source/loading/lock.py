"""One process at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from toloka_source.errors import BusyError

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, busy: str = "", *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock of a file or folder, which is a file beside it.

    Args:
        path: What is locked; it needn't be there.
        busy: What to say when another process holds the lock; without it that is waited for.
        timeout: How many seconds to wait; None for as long as it takes.

    Raises:
        BusyError: Another process holds the lock.
    """
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if busy:
            raise BusyError(f"{busy}: wait until it ends") from None
        log.warning("waiting until another process has loaded into %s", path)
        try:
            lock.acquire(timeout=-1 if timeout is None else timeout)
        except Timeout:
            raise BusyError(f"another process still loads into {path}: wait until it ends") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
