"""Runs the command again and again, each time in a process of its own that can be killed.

    python killed.py

imports everything once, then forks a process for each line of JSON on its input (`folder`, `step` or `replaced` or
`seconds`), waits until it ended and answers with another line (`code`, as subprocess has it, and `seconds`). A run that
came to its end leaves the number of its steps on disk in `steps.txt`.
"""

import gc
import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import Any

from toloka_source.cli import main

WARM = (
    "duckdb",
    "pyarrow.parquet",
    "dlt.destinations.impl.duckdb.duck",
    "dlt.destinations.dataset",
    "dlt.load.load",
    "rich.table",
    "toloka_source.cli.run_load",
)


STEPS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
"""What Python tells of before it does it (`sys.addaudithook`); writing a file is another."""


class Steps:
    """Counts the steps of this process on disk, and kills it before one of them, as the system does."""

    def __init__(self, last: int | None, replaced: str | None = None) -> None:
        """Begin to count.

        Args:
            last: How many steps there are to be; None if this isn't what ends it.
            replaced: "before" or "after": when to end it, beside the step that puts the database in its place.
        """
        self.done = 0
        self._last = last
        self._replaced = replaced
        self._counting = threading.Lock()
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[1], str) and not set(arguments[1]).isdisjoint("wax+")
        if event not in STEPS and not is_write:
            return
        with self._counting:
            if self._replaced and event == "os.rename" and Path(arguments[1]).name == "toloka.duckdb":
                self._last = self.done + (self._replaced == "after")
            if self.done == self._last:
                os.kill(os.getpid(), signal.SIGKILL)
            self.done += 1


def run(order: dict[str, Any]) -> int:
    """Run the command in this process, which was forked for it."""
    os.chdir(order["folder"])
    with Path("output.txt").open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    steps = Steps(order["step"], order["replaced"])
    code = main(["load", "--progress", "off"])
    done = steps.done
    Path("steps.txt").write_text(str(done), encoding="ascii")
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve() -> None:
    """Answer orders until the input ends."""
    for name in WARM:
        importlib.import_module(name)
    gc.freeze()  # what is imported is never looked through again, and stays shared
    for line in sys.stdin:
        order = json.loads(line)
        started = monotonic()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(order)
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
    serve()
