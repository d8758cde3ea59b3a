"""Runs the command again and again, each time in a process of its own that can be killed.

    python killed.py script.py

imports everything once, then forks a process for each line of JSON on its input (`folder`, `stage`, `seconds`), waits
until it ended and answers with another line (`code`, as subprocess has it, and `seconds`).
"""

import gc
import importlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any

WARM = ("duckdb", "pyarrow.parquet", "dlt.destinations.impl.duckdb.duck", "dlt.destinations.dataset", "dlt.load.load")


def die() -> None:
    """Kill this process, as the system does when memory runs out: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(stage: str) -> None:
    """Arrange this process's death.

    "before 2 module:Class.function" is at the start of the second call, "after" at its end. Anything else in that
    place is what a method that empties its `working_dir` has deleted when it dies: patterns, with commas between.
    """
    when, number, name = stage.split()
    module, _, path = name.partition(":")
    *parents, last = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, last, deadly(getattr(owner, last), when, int(number)))


def deadly(function: Callable[..., Any], when: str, number: int) -> Callable[..., Any]:
    """Return the function, except that its call of this number is the last thing that the process does."""
    lock = threading.Lock()
    calls = 0

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        with lock:
            calls += 1
            is_last = calls == number
        if is_last and when != "after":
            if when != "before":
                delete(Path(arguments[0].working_dir), when.split(","))
            die()
        result = function(*arguments, **keywords)
        if is_last:
            die()
        return result

    return call


def delete(folder: Path, patterns: list[str]) -> None:
    """Delete what matches a pattern: the order in which a folder is deleted is nobody's promise."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def imported(script: str) -> ModuleType:
    """Import a script from its file."""
    spec = spec_from_file_location("command", script)
    if spec is None or spec.loader is None:
        raise ImportError(script)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(command: ModuleType, order: dict[str, Any]) -> int:
    """Run the command in this process, which was forked for it."""
    os.chdir(order["folder"])
    with Path("output.txt").open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    if order["stage"]:
        die_at(order["stage"])
    code: int = command.main(["--progress", "off"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(script: str) -> None:
    """Answer orders until the input ends."""
    for name in WARM:
        importlib.import_module(name)
    command = imported(script)
    gc.freeze()  # what is imported is never looked through again, and stays shared
    for line in sys.stdin:
        order = json.loads(line)
        started = monotonic()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(command, order)
            finally:
                os._exit(code)
        timer = threading.Timer(order["seconds"] or 0, os.kill, (child, signal.SIGKILL))
        if order["seconds"]:
            timer.start()
        _, status = os.waitpid(child, 0)
        timer.cancel()
        answer = {"code": os.waitstatus_to_exitcode(status), "seconds": monotonic() - started}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
