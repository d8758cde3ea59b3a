"""What loads windows beside each other: processes of this machine, or the workers of a Dask cluster on many.

A process that is killed takes only its own window with it, and processes read side by side what one alone would read in
turn. What a process has to know reaches it through a pipe, never on its command line; the workers of a cluster take the
token and the destination's credentials from their own configuration, so that no scheduler ever has them.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from time import sleep
from types import FrameType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from toloka_source import unknown_settings
from toloka_source.errors import ConfigurationError, KilledError, TolokaError

Submit = Callable[..., "Future[Any]"]
"""Has a function called with arguments in another process."""

_END_SECONDS = 10
"""How long a process may take to clean up when the one that started it is gone."""

_WORKERS_SECONDS = 30
"""How long to wait for a scheduler, and for its first worker."""


@contextmanager
def processes() -> Iterator[Submit]:
    """Run functions in processes of this machine, as many as are to run at once; at the end they are told to end."""
    pools: dict[ProcessPool, Future[Any]] = {}  # of one process each, so that one that is killed breaks no other

    def begin() -> ProcessPool:
        pool = ProcessPool(1, initializer=_begin, context=get_context("spawn"))
        pools[pool] = Future()
        with ThreadPoolExecutor(1) as starter:  # where no signal raises an error: half a process would fail, and say so
            starter.submit(_start, pool).result()
        return pool

    def submit(function: Callable[..., Any], *arguments: object) -> "Future[Any]":
        idle = (pool for pool, last in pools.items() if last.done() and pool.active)
        pool = next(idle, None) or begin()
        pools[pool] = future = pool.schedule(_clean_up_at_sigterm, (function, *arguments))
        return future

    try:
        yield submit
    finally:
        for pool in pools:
            pool.stop()  # type: ignore[no-untyped-call]
        for pool in pools:
            pool.join()


def _start(pool: ProcessPool) -> None:
    # Ctrl-C is ours alone, also before the process gets to say so itself
    resource_tracker.ensure_running()  # else it would be started in between, and let Ctrl-C through
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    pool.active  # noqa: B018 - starts it


@contextmanager
def cluster(scheduler: str) -> Iterator[Submit]:
    """Run functions in the workers of a Dask cluster; those that run at the end go on to theirs.

    Args:
        scheduler: Its address, such as tcp://10.0.0.5:8786.

    Raises:
        ConfigurationError: There is no cluster, or Dask isn't installed.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError:
        remedy = "needs Dask: install toloka-source with the extra dask"
        raise ConfigurationError("scheduler", scheduler, remedy) from None
    try:
        client = Client(scheduler, timeout=_WORKERS_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigurationError("scheduler", scheduler, f"can't be reached: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
        except TimeoutError:
            raise ConfigurationError("scheduler", scheduler, "has no workers: start some") from None
        yield client.get_executor(pure=False).submit  # type: ignore[no-untyped-call]


def answer(future: "Future[Any]") -> Any:  # noqa: ANN401 - the function's
    """Return what a function has returned, or raised.

    Raises:
        KilledError: Its process was killed.
        TolokaError: Its cluster is gone.
    """
    try:
        return future.result()
    except (ProcessExpired, BrokenProcessPool) as error:
        raise KilledError(str(error)) from None
    except CancelledError:
        raise TolokaError("the cluster's scheduler is gone") from None
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # Dask's, which needn't be installed
            raise KilledError("the cluster's worker was killed") from None
        raise


def _begin() -> None:
    """Make this process, which loads windows, end as it should."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ctrl-C is the parent's, who ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.getLogger(unknown_settings.__name__).disabled = True  # the parent has warned of them


def _clean_up_at_sigterm(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - the function's
    """Call a function, which SIGTERM ends by an error; when none runs, it ends the process, also while Python ends."""
    signal.signal(signal.SIGTERM, _clean_up_and_end)
    try:
        return function(*arguments)
    except SystemExit:
        os._exit(1)  # it is cleaned up; threads that wait for the API would keep the process
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _clean_up_and_end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # cleaning up isn't to be interrupted
    sys.exit(1)


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(_END_SECONDS)
        os._exit(1)
