"""What the command says: text for people, or one JSON document for machines.

With `--output json` the document stands on stdout alone, in one line; times are ISO 8601, in UTC. A load is

    {"resources": [{"name", "kind", "reason", "rows", "new", "changed", "unchanged", "gone", "requests", "retries",
                    "rejected", "window_start", "window_end", "seconds"}, ...], "seconds"}

as `LoadReport` documents it. `demo` gives {"loads": [a load, a load]}, and `backfill`

    {"windows": [{"start", "end", and what a load has}, ...], "failed": [{"start", "end", "error"}, ...], "seconds"}

with the windows in the order in which they were loaded. What failed before anything was done gives no document.
"""

import sys
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from toloka_source.report import LoadReport

_WIDEST = 200
"""More than any table takes: no cell is cut where there is no terminal."""


class Output:
    """What a subcommand says when it is well."""

    def __init__(self, kind: str) -> None:
        """Take what `--output` says."""
        self._is_json = kind == "json"

    def say(self, line: str = "") -> None:
        """Print a line for people."""
        if not self._is_json:
            print(line, flush=True)

    def progress(self, line: str) -> None:
        """Print a line that comes before all is done: people wait for it, machines for the document."""
        print(line, flush=True, file=sys.stderr if self._is_json else sys.stdout)

    def document(self, document: Any) -> None:  # noqa: ANN401 - what JSON can hold, dataclasses and times
        """Print the document for machines."""
        if self._is_json:
            print(msgspec.json.encode(document).decode(), flush=True)

    def report(self, report: LoadReport) -> None:
        """Print a load as a table for people."""
        if self._is_json:
            return
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("resource")
        table.add_column("read as")
        for column in ("rows", "new", "changed", "unchanged", "gone", "requests", "seconds"):
            table.add_column(column, justify="right")
        for one in report.resources:
            counts = (one.rows, one.new, one.changed, one.unchanged, one.gone, one.requests)
            cells = ("-" if count is None else f"{count}" for count in counts)
            table.add_row(one.name, one.kind, *cells, f"{one.seconds:.1f}")
        Console(width=None if sys.stdout.isatty() else _WIDEST).print(table)
        for one in report.resources:
            start = "everything" if one.window_start is None else f"{one.window_start:%Y-%m-%d %H:%M:%S}"
            end = "ended early" if one.window_end is None else f"{one.window_end:%Y-%m-%d %H:%M:%S}"
            self.say(f"{one.name}: {start} .. {end} (UTC){one.reason and f', as {one.reason}'}")
        self.rejected(sum(resource.rejected for resource in report.resources))

    def rejected(self, count: int) -> None:
        """Say how many objects don't fit, if any."""
        if count:
            self.say(f"{count} objects don't fit their schema: see the table rejected_items")
