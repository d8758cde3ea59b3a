"""Progress on stderr: bars on a terminal, lines elsewhere."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from dlt.common.runtime.collector import AliveCollector, LogCollector
from dlt.common.runtime.collector_base import Collector
from dlt.pipeline.progress import TCollectorArg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from toloka_source.log_lines import current

log = logging.getLogger(__name__)

_RESOURCES = "Resources"
"""What dlt counts the resources by that are read to their end: nothing until then."""


def collector(kind: str) -> TCollectorArg | None:
    """Return what dlt reports its progress to.

    Args:
        kind: What `--progress` says.
    """
    if kind == "auto":
        kind = "bars" if _is_terminal() and current().kind == "plain" else "log"
    if kind == "bars":
        return Bars()
    if kind == "log":
        is_watched = current().kind != "plain"
        return LogCollector(log_period=2.0, logger=log if is_watched else sys.stderr, dump_system_stats=False)
    if kind == "alive_progress":
        return AliveCollector(file=sys.stderr)
    return None if kind == "off" else kind  # type: ignore[return-value] # argparse has checked it


class Bars(Collector):
    """A bar for each step of a pipeline, with the rows of each table so far; it is gone when the step ends."""

    def __init__(self) -> None:
        """Wait for the first step; until then dlt may copy this."""
        self._progress: Progress | None = None
        self._rows: Counter[str] = Counter()
        self._parts = ""

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,  # noqa: ARG002 - dlt's interface
        label: str | None = None,
    ) -> None:
        """Count rows of a table, or parts of the step; what has a label is in another count already."""
        if self._progress is None or label or name == _RESOURCES or name.startswith("_dlt"):
            return
        (task,) = self._progress.tasks
        if total is not None:
            self._parts = name
            self._progress.update(task.id, total=total)
        if name == self._parts:
            self._progress.update(task.id, advance=inc, total=(task.total or 0) + (inc_total or 0))
        else:
            self._rows[name] += inc
            says = "  ".join(f"{table} {rows:,}" for table, rows in sorted(self._rows.items()))
            self._progress.update(task.id, says=says)

    def _start(self, step: str) -> None:
        self._rows.clear()
        self._parts = ""
        self._progress = _progress()
        self._progress.add_task(step.partition(" in ")[0], total=None, says="")
        self._progress.start()

    def _stop(self) -> None:
        if self._progress:
            self._progress.stop()
        self._progress = None


@contextmanager
def windows_bar(total: int) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many windows are done; yield what is called after each."""
    if not _is_terminal():
        yield lambda: None
        return
    with _progress() as progress:
        task = progress.add_task("Windows", total=total, says=f"0 of {total}")
        done = count(1)
        yield lambda: progress.update(task, advance=1, says=f"{next(done)} of {total}")


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[says]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # lines go above the bars, but what is piped goes where it should
    )


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
