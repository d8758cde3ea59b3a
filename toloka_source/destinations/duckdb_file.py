"""A DuckDB file that others have open: who keeps it, a copy of it, and a new file in its place.

DuckDB locks the whole file: whoever writes keeps all others off, and a reader keeps writers off. A file that takes the
place of another disturbs nobody: who has the old one open goes on with it.
"""

import logging
import os
import shutil
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, BinaryIO

from toloka_source.destinations.failures import lock_error
from toloka_source.errors import DestinationError, DestinationLockedError

if TYPE_CHECKING:
    import duckdb

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05

_READ_LOCK = struct.pack("hhqqi4x", 0, 0, 0, 0, 0)
"""Linux' `struct flock`: a lock for reading, on the whole file."""

_AT_ONCE = 1 << 26
"""How many bytes are copied at once."""

_FICLONE = 0x40049409
"""Linux' request to share the blocks of another file."""

_CHECKPOINT_MEMORY = "500MB"
"""What DuckDB may take to write what was loaded, where its own limit is higher; the rest goes to temporary files."""

_Config = dict[str, str | bool | int | float | list[str]]

_CHECKPOINTS: tuple[_Config, ...] = ({"memory_limit": "1GB"}, {}, {"max_vacuum_tasks": 0})
"""How to write what couldn't be written so: with more memory, with all that DuckDB takes by itself, in small groups."""

_NEW: _Config = {"storage_compatibility_version": "v1.0.0"}
"""What a file is made with: what DuckDB 1 does by itself, and no DuckDB 1 reads what DuckDB 2 makes by itself."""


def can_replace(path: Path) -> bool:
    """Tell whether a new file can take the place of this one, and be the same in all but what is in it."""
    if sys.platform == "win32" or not os.access(path.parent, os.W_OK | os.X_OK):
        return False
    if not path.exists():
        return True
    found = path.stat()
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_nlink == 1
        and os.access(path, os.R_OK | os.W_OK)
        and (os.geteuid() == 0 or (found.st_uid == os.geteuid() and found.st_gid in {os.getegid(), *os.getgroups()}))
    )


def wait_for_writers(path: Path, timeout: float) -> bool:
    """Wait until no other process writes into the file; tell whether this one has it open, by whatever connection.

    Raises:
        DestinationLockedError: Another process still writes.
    """
    import duckdb  # noqa: PLC0415 - takes time to import

    try:
        _wait(path, timeout, lambda: True, read_only=True)
    except duckdb.ConnectionException:
        return True
    return False


def wait_for_all(path: Path, timeout: float) -> None:
    """Wait until no other process has the file open.

    Raises:
        DestinationLockedError: One still has it.
    """
    _wait(path, timeout, lambda: True, read_only=False)


@contextmanager
def without_writers(path: Path, timeout: float) -> Iterator[BinaryIO]:
    """Wait until no other process writes into the file, then keep writers off; readers come and go.

    Raises:
        DestinationLockedError: Another process still writes, or this one has opened the file.
    """
    import duckdb  # noqa: PLC0415 - takes time to import

    kept: list[BinaryIO] = []

    def is_kept() -> bool:
        file = path.open("rb")
        if _is_shared(file) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            kept.append(file)
        else:
            file.close()
        return bool(kept)

    try:
        _wait(path, timeout, is_kept, read_only=True)
    except duckdb.ConnectionException:
        said = f"this process has opened {path}: close the connection, then run again"
        raise DestinationLockedError(said) from None
    with kept[0] as file:
        yield file


def _wait(path: Path, timeout: float, is_done: Callable[[], bool], *, read_only: bool) -> None:
    deadline = monotonic() + timeout
    has_said = False
    while (said := _holder(path, read_only=read_only)) or not is_done():
        if monotonic() >= deadline:
            raise lock_error(said or f'on file "{path}": another process writes it.')
        if not has_said:
            log.warning("waiting up to %g s until %s is free", timeout, path)
            has_said = True
        sleep(_POLL_SECONDS)


def _holder(path: Path, *, read_only: bool) -> str:
    """Return what DuckDB says of another process that has the file; nothing if there is none.

    Raises:
        ConnectionException: This process has it open, and it was to be opened to read.
    """
    import duckdb  # noqa: PLC0415 - takes time to import

    # a process opens a file once, and by one configuration: nobody else has this one; to write, it may be made
    config: _Config = {"custom_user_agent": "toloka-source"} if read_only else _NEW
    try:
        duckdb.connect(path, read_only=read_only, config=config).close()
    except duckdb.ConnectionException:
        if read_only:
            raise
    except duckdb.IOException as error:
        return str(error) if "Could not set lock" in str(error) else ""
    except duckdb.Error:
        pass  # whatever it is, whoever opens the file next says it
    return ""


def _is_shared(file: BinaryIO) -> bool:
    """Take the lock of a reader; tell whether there was no writer."""
    try:
        # DuckDB's own kind of lock: it names this process to writers, but ends when any part of it closes the file
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if hasattr(fcntl, "F_OFD_SETLK"):
            # this one ends with this file alone, and keeps off writers of this process too
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _READ_LOCK)
    except BlockingIOError:
        return False
    return True


def create(path: Path) -> None:
    """Make an empty database; whoever looks sees all of it, or nothing."""
    import duckdb  # noqa: PLC0415 - takes time to import

    duckdb.connect(path, config=_NEW).close()


def copy(opened: BinaryIO, path: Path, target: Path) -> None:
    """Copy an open file, with its owner and its mode; blocks are shared where the file system does that.

    Raises:
        DestinationError: There is no room.
    """
    try:
        with target.open("xb") as made:
            _fill(opened, made)
        if os.geteuid() == 0 or target.stat().st_gid != path.stat().st_gid:
            os.chown(target, path.stat().st_uid, path.stat().st_gid)
        shutil.copystat(path, target)
    except OSError as error:
        remedy = "a load needs room for a copy; without one it is `publish=False`, or --no-publish"
        raise DestinationError(f"{path} can't be copied to {target}: {error.strerror}: {remedy}") from error


def _fill(opened: BinaryIO, made: BinaryIO) -> None:
    if sys.platform == "linux":
        with suppress(OSError):  # another file system, or one that can't
            fcntl.ioctl(made, _FICLONE, opened.fileno())
            return
        with suppress(OSError):
            while os.copy_file_range(opened.fileno(), made.fileno(), _AT_ONCE):
                pass
            return
    opened.seek(0)
    made.seek(0)
    shutil.copyfileobj(opened, made, _AT_ONCE)


def write_tables(connection: "duckdb.DuckDBPyConnection") -> None:
    """Write what was loaded into the tables, in little memory; what fails here is left to `checkpoint`.

    DuckDB puts small groups of rows together then, many at once: after a first load of a million objects that took
    1.9 GB, and takes 0.8 so.
    """
    import duckdb  # noqa: PLC0415 - takes time to import

    with suppress(duckdb.Error):
        limit = str(connection.sql("SELECT current_setting('memory_limit')").fetchall()[0][0])
        if limit.endswith(("GiB", "TiB")):
            connection.execute(f"SET memory_limit = '{_CHECKPOINT_MEMORY}'")
        connection.execute("CHECKPOINT")


def checkpoint(path: Path) -> None:
    """Take what stands in the log beside the file into it, so that the file is all there is."""
    import duckdb  # noqa: PLC0415 - takes time to import

    if not log_of(path).exists():
        return
    *others, last = _CHECKPOINTS
    for config in others:
        with suppress(duckdb.Error):
            _checkpoint(path, config)
            return
    _checkpoint(path, last)


def _checkpoint(path: Path, config: _Config) -> None:
    import duckdb  # noqa: PLC0415 - takes time to import

    with duckdb.connect(path, config=config) as connection:
        connection.execute("CHECKPOINT")


def log_of(path: Path) -> Path:
    """Return the log that DuckDB has beside a file: what was written, and isn't in the file yet."""
    return path.with_name(f"{path.name}.wal")


def state_of(path: Path) -> tuple[object, ...]:
    """Return what is another one as soon as somebody has written."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, log_of(path).exists()
