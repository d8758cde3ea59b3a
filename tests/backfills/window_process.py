"""Processes that load one window each, as an orchestrator's tasks do; `forkserver` has everything imported for them."""

import os
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from tests.loading.killed import WARM, Steps
from toloka_source import Window, load_window, window_name

processes = get_context("forkserver")
processes.set_forkserver_preload(["toloka_source", "dlt.destinations.impl.postgres.postgres", *WARM])


def work(
    environment: dict[str, str],
    window: Window,
    destination: Any,
    arguments: dict[str, Any],
    step: int | None,
) -> None:
    """Load the window, and note the steps on disk that it takes; die before one of them if there is a number."""
    os.environ.update(environment)  # the server has that of the first test
    steps = Steps(step)
    load_window(window, destination, **arguments)
    done = steps.done
    _noted(window).write_text(str(done), encoding="ascii")


def steps_of(window: Window) -> int:
    """Return how many steps on disk the last load of a window took that came to its end."""
    return int(_noted(window).read_text(encoding="ascii"))


def _noted(window: Window) -> Path:
    return Path(os.environ["DLT_DATA_DIR"], f"steps-{window_name(window)}.txt")


def start(window: Window, destination: Any, arguments: dict[str, Any], step: int | None = None) -> Any:
    """Start a process that loads the window."""
    process = processes.Process(target=work, args=(dict(os.environ), window, destination, arguments, step))
    process.start()
    return process


def side_by_side(todo: list[Window], destination: Any, arguments: dict[str, Any], at_once: int) -> list[int]:
    """Load the windows, so many at once; return the processes' exit codes."""
    waiting = list(todo)
    running: list[Any] = []
    codes: list[int] = []
    # one thread alone: processes of `forkserver` mustn't be asked by two whether they ended
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(start(waiting.pop(0), destination, arguments))
        connection.wait([process.sentinel for process in running])
        codes += [process.exitcode for process in running if process.exitcode is not None]
        running = [process for process in running if process.exitcode is None]
    return codes
