"""What a failure of dlt's means."""

import errno
import os
import re
from collections.abc import Iterator
from typing import TypeGuard

from dlt.common.destination.exceptions import DestinationTerminalException
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from toloka_source.errors import (
    DestinationDownError,
    DestinationError,
    DestinationLockedError,
    FileError,
    TolokaError,
    one_line,
)

_UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR}
)
"""What a system says of a file that can't be written."""

_SAID = re.compile(rf"[^\n]*({'|'.join(os.strerror(number) for number in sorted(_UNWRITABLE))})")
"""The same in the text of a database or a driver."""

_OUT_OF_SERVICE = ("08", "53", "57P", "58")
"""How PostgreSQL's codes begin that tell of a connection, of a disk or of memory, or of a server that stops."""

_NO_FILE = ("IOException", "FatalException", "OutOfMemoryException")
"""The names of DuckDB's errors that tell of its file."""


def translated(error: Exception) -> BaseException:
    """Return the error of this package that dlt wrapped, or one that says what the destination said, or dlt's own.

    Ctrl-C, which dlt wraps too, is Ctrl-C again.

    Raise it `from` its own cause: else it is the cause of its own cause, and who follows these goes round for ever.
    """
    for cause in causes(error):
        if isinstance(cause, TolokaError | KeyboardInterrupt):
            return cause
        if "Could not set lock on file" in str(cause):
            return _caused(lock_error(str(cause)), error)
        if "different configuration than existing connections" in str(cause):
            said = "this process has the DuckDB file open to read it: close that connection, then run again"
            return _caused(DestinationLockedError(said), error)
    if is_refusal(error):
        said = f"the destination refused the data; the next run begins where this one began: {last_line(error)}"
        return _caused(DestinationError(said), error)
    return _outage(error) or error


def _outage(error: Exception) -> Exception | None:
    """Return an error that says which file, disk or connection was at fault, if one was."""
    for cause in reversed([*causes(error)]):
        if isinstance(cause, OSError) and cause.errno in _UNWRITABLE:
            folder = error.pipeline.working_dir if isinstance(error, PipelineStepFailed) else "dlt's working folder"
            return _caused(FileError(cause.filename or folder, os.strerror(cause.errno)), error)
        if "not a valid DuckDB database file" in str(cause):
            return _caused(DestinationError(f"remove the file, or restore it, then run again: {cause}"), error)
        if found := _SAID.search(str(cause)):
            said = f"make room at the destination, or give the right to write there, then run again: {found[0].strip()}"
            return _caused(DestinationDownError(said), error)
        if isinstance(cause, DestinationConnectionError):
            said = f"the destination can't be reached, look at it and at its credentials: {cause.inner_exc}"
            return _caused(DestinationDownError(said), error)
    return None


def lock_error(said: str) -> DestinationLockedError:
    """Return the error that names the other process, from what DuckDB says of it."""
    said = re.split("However|See also", said.partition("Could not set lock")[2] or said)[0].strip()
    return DestinationLockedError(f"end the other process, then run again: could not set lock {said}")


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def last_line(error: PipelineStepFailed) -> str:
    """Return the last line of the traceback that dlt quotes."""
    lines = [line for line in str(error.exception).splitlines() if re.match(r"[a-z_]\w*(\.\w+)+: ", line)]
    return (lines or [one_line(error.exception)])[-1]


def is_refusal(error: Exception) -> TypeGuard[PipelineStepFailed]:
    """Tell whether the destination won't take the data, however often it is tried."""
    if not isinstance(error, PipelineStepFailed):
        return False
    return error.step == "load" and any(isinstance(cause, DestinationTerminalException) for cause in causes(error))


def is_table_gone(error: Exception) -> bool:
    """Tell whether a table is missing at the destination."""
    return any(isinstance(cause, DatabaseUndefinedRelation) for cause in causes(error))


def is_destination_down(error: Exception) -> bool:
    """Tell whether the destination couldn't be reached."""
    return any(isinstance(cause, DestinationConnectionError) for cause in causes(error))


def is_outage(error: BaseException) -> bool:
    """Tell whether the destination's disk or the way to it is at fault, and neither rights nor what is in it."""
    return any(
        isinstance(cause, DestinationConnectionError) or _SAID.search(str(cause)) or _is_out_of_service(cause)
        for cause in causes(error)
    )


def _is_out_of_service(error: BaseException) -> bool:
    """Tell what a driver's error means; drivers are extras, and not imported here."""
    driver, name = type(error).__module__.partition(".")[0].strip("_"), type(error).__name__
    if driver == "duckdb":
        return name in _NO_FILE
    code = getattr(error, "pgcode", None) or ""
    is_broken = not code and name in ("OperationalError", "InterfaceError")  # a connection that breaks has no code
    return driver == "psycopg2" and (is_broken or code.startswith(_OUT_OF_SERVICE))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it, down to the first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
