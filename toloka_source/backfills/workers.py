"""Windows loaded by workers: which is begun when, which again, and what becomes of those that fail."""

import logging
import pickle
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import Lock
from typing import Any

from dlt.common.configuration.exceptions import ConfigurationException

from toloka_source._dlt import own_signals
from toloka_source.backfills.engines import Submit, answer
from toloka_source.backfills.load_window import known_destination, load_window
from toloka_source.backfills.windows import window_name
from toloka_source.destinations.secrets import hide
from toloka_source.errors import (
    AccessError,
    BackfillError,
    ConfigurationError,
    DestinationLockedError,
    HostUnreachableError,
    KilledError,
    QuotaError,
    TolokaError,
)
from toloka_source.log_lines import LogFormat, current, with_window, written_as
from toloka_source.report import LoadReport
from toloka_source.window import Window

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a window is begun whose process is killed."""

_FAILS_EVERY_WINDOW = (AccessError, ConfigurationError, DestinationLockedError, HostUnreachableError, QuotaError)
"""What goes wrong in one window like this goes wrong in all: no further one is begun."""

_ONE_AT_A_TIME = Lock()
"""A worker of a Dask cluster may have many threads; dlt has settings that are the process's."""


def results(
    todo: Sequence[Window], submit: Submit, workers: int, job: tuple[Any, ...]
) -> Iterator[tuple[Window, LoadReport]]:
    """Yield each window that was loaded, as soon as it is, and its report.

    Args:
        todo: What to load.
        submit: Has a function called by a worker.
        workers: How many windows are loaded at once, when one has succeeded.
        job: The other arguments of `_work`: destination, dataset, resources and those of the source.

    Raises:
        BackfillError: Windows weren't loaded; raised at the end.
        TolokaError: The first window failed by what would make all windows fail.
    """
    waiting = deque((window, 1) for window in todo)
    running: dict[Future[Any], tuple[Window, int]] = {}
    failed: dict[Window, Exception] = {}
    at_once = 1
    while waiting or running:
        while waiting and len(running) < at_once:
            window, attempt = waiting.popleft()
            running[submit(_work, window, *job, current())] = window, attempt
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            window, attempt = running.pop(future)
            result = _result(future)
            if isinstance(result, LoadReport):
                at_once = workers
                yield window, result
            elif isinstance(result, KilledError) and attempt < ATTEMPTS:
                log.warning("window %s: its process was killed, and is started again", window_name(window))
                waiting.appendleft((window, attempt + 1))
            else:
                if isinstance(result, _FAILS_EVERY_WINDOW):
                    if at_once == 1 and not failed and window == todo[0]:
                        raise result
                    failed |= {window: result for window, _ in waiting}
                    waiting.clear()
                failed[window] = result
                log.error("window %s: %s", window_name(window), result)
            del future  # as long as it is held, a cluster that loses the worker which has the result makes it again
    if failed:
        raise BackfillError([(window, failed[window]) for window in todo if window in failed])


def _result(future: "Future[Any]") -> LoadReport | Exception:
    try:
        result, trace = answer(future)
    except KilledError:
        return KilledError(f"the process was killed {ATTEMPTS} times: is there enough memory?")
    except Exception as error:  # noqa: BLE001 - whatever an engine raises
        return error if isinstance(error, TolokaError) else TolokaError(f"{type(error).__name__}: {error}")
    if trace:
        result.add_note(trace)
    return result  # type: ignore[no-any-return]


def _work(
    window: Window,
    destination: Any,  # noqa: ANN401
    dataset: str,
    resources: Sequence[str],
    arguments: dict[str, Any],
    log_format: LogFormat,
) -> tuple[LoadReport | Exception, str]:
    """Load a window in this process; return the report, or the error and its traceback.

    An error is returned, as what is raised by a worker of Dask's is logged there with all arguments.
    """
    with _ONE_AT_A_TIME:
        try:
            with own_signals(), written_as(with_window(log_format, window_name(window)), logging.WARNING):
                return load_window(window, destination, dataset, resources, **arguments), ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent gets it
            name = known_destination(destination).destination_name
            return _portable(error, name), hide("".join(traceback.format_exception(error)))


def _portable(error: Exception, name: str) -> Exception:
    """Return the error if it can be sent, or one of ours that says the same."""
    text = hide(str(error))
    if isinstance(error, ConfigurationException):
        return ConfigurationError("destination", name, text)
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - errors of others fail in many ways here
        return TolokaError(f"{type(error).__name__}: {text}")
    return error
