"""A range of time in windows, each loaded by a process of its own.

A process that is killed takes only its own window with it, which is then loaded again; and processes read side by side
what one alone would read in turn. What a worker has to know reaches it through a pipe, never on its command line.
"""

import logging
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from time import sleep
from types import FrameType
from typing import Any

from dlt.common.configuration.exceptions import ConfigurationException

from toloka_source import unknown_settings
from toloka_source._dlt import own_signals
from toloka_source.backfills.load_window import known_destination, load_window
from toloka_source.backfills.windows import window_name
from toloka_source.destinations.secrets import hide
from toloka_source.errors import (
    AccessError,
    BackfillError,
    ConfigurationError,
    DestinationLockedError,
    HostUnreachableError,
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

_END_SECONDS = 10
"""How long a worker may take to clean up when it is told to end."""

_spawn = get_context("spawn")


@dataclass(frozen=True)
class _Worker:
    """A process that loads a window.

    Attributes:
        window: What it loads.
        attempt: 1 for the window's first process.
        process: The process.
        answer: Where it puts the report, or the error.
    """

    window: Window
    attempt: int
    process: SpawnProcess
    answer: connection.Connection

    def result(self) -> LoadReport | Exception | None:
        """Return the report, or the error; None when the process was killed."""
        try:
            result, trace = self.answer.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode  # None where another thread was quicker to ask the system
            if code is None or code < 0:
                return None
            return TolokaError(f"the process ended with exit code {code}, without a word")
        if trace:
            result.add_note(trace)
        return result  # type: ignore[no-any-return]


def results(todo: Sequence[Window], workers: int, job: tuple[Any, ...]) -> Iterator[tuple[Window, LoadReport]]:
    """Yield each window that was loaded, as soon as it is, and its report.

    Args:
        todo: What to load.
        workers: How many processes at once.
        job: The other arguments of `_work`: destination, dataset, resources and those of the source.

    Raises:
        BackfillError: Windows weren't loaded; raised at the end.
        TolokaError: The first window failed by what would make all windows fail.
    """
    waiting = deque((window, 1) for window in todo)
    running: dict[connection.Connection, _Worker] = {}
    failed: dict[Window, Exception] = {}
    at_once = 1
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                worker = _start(*waiting.popleft(), job)
                running[worker.answer] = worker
            for answer in connection.wait(list(running)):
                worker = running.pop(answer)  # type: ignore[call-overload]
                window, result = worker.window, worker.result()
                worker.process.join()
                if isinstance(result, LoadReport):
                    at_once = workers
                    yield window, result
                elif result is None and worker.attempt < ATTEMPTS:
                    log.warning("window %s: its process was killed, and is started again", window_name(window))
                    waiting.appendleft((window, worker.attempt + 1))
                else:
                    error = result or TolokaError(f"the process was killed {ATTEMPTS} times: is there enough memory?")
                    if isinstance(error, _FAILS_EVERY_WINDOW):
                        if at_once == 1 and not failed and window == todo[0]:
                            raise error
                        failed |= {window: error for window, _ in waiting}
                        waiting.clear()
                    failed[window] = error
                    log.error("window %s: %s", window_name(window), error)
    finally:
        _end([worker.process for worker in running.values()])
    if failed:
        raise BackfillError([(window, failed[window]) for window in todo if window in failed])


def _start(window: Window, attempt: int, job: tuple[Any, ...]) -> _Worker:
    answer, send = _spawn.Pipe(duplex=False)
    process = _spawn.Process(target=_work, args=(send, window, *job, current()), name=f"toloka {window_name(window)}")
    # Ctrl-C is ours alone, also before the process gets to say so itself
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    send.close()  # so that the pipe ends with the process
    return _Worker(window, attempt, process, answer)


def _end(processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_END_SECONDS)
        process.kill()
        process.join()


def _work(
    send: connection.Connection,
    window: Window,
    destination: Any,  # noqa: ANN401
    dataset: str,
    resources: Sequence[str],
    arguments: dict[str, Any],
    log_format: LogFormat,
) -> None:
    """Load a window in this process, which was started for it, and send the report or the error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends us
    signal.signal(signal.SIGTERM, _clean_up_and_end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.getLogger(unknown_settings.__name__).disabled = True  # the parent has warned of them
    answer: tuple[LoadReport | Exception, str]
    try:
        with own_signals(), written_as(with_window(log_format, window_name(window)), logging.WARNING):
            answer = load_window(window, destination, dataset, resources, **arguments), ""
    except SystemExit:
        os._exit(1)  # it is cleaned up; threads that wait for the API would keep the process
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent gets it
        name = known_destination(destination).destination_name
        answer = _portable(error, name), hide("".join(traceback.format_exception(error)))
    with suppress(BrokenPipeError):  # the parent is gone
        send.send(answer)


def _clean_up_and_end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # cleaning up isn't to be interrupted
    sys.exit(1)


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(_END_SECONDS)
        os._exit(1)


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
