"""What a failure of dlt's means."""

import re
from collections.abc import Iterator
from typing import TypeGuard

from dlt.common.destination.exceptions import DestinationTerminalException
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from toloka_source.errors import DestinationError, DestinationLockedError, TolokaError, one_line


def translated(error: Exception) -> BaseException:
    """Return the error of this package that dlt wrapped, or one that says what the destination said, or dlt's own.

    Ctrl-C, which dlt wraps too, is Ctrl-C again.

    Raise it `from` its own cause: else it is the cause of its own cause, and who follows these goes round for ever.
    """
    for cause in causes(error):
        if isinstance(cause, TolokaError | KeyboardInterrupt):
            return cause
        if "Could not set lock on file" in str(cause):
            said = re.split("However|See also", str(cause).partition("Could not set lock")[2])[0].strip()
            return _caused(
                DestinationLockedError(f"end the other process, then run again: could not set lock {said}"), error
            )
    if is_refusal(error):
        said = f"the destination refused the data; the next run begins where this one began: {last_line(error)}"
        return _caused(DestinationError(said), error)
    return error


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


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it, down to the first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
