"""What the command says: text for people, or one JSON document for machines.

With `--output json` the document stands on stdout alone, in one line; times are ISO 8601, in UTC. A load is

    {"resources": [{"name", "kind", "reason", "rows", "new", "changed", "unchanged", "gone", "is_short",
                    "is_forbidden", "requests", "retries", "rejected", "window_start", "window_end", "seconds"}, ...],
     "seconds"}

as `LoadReport` documents it. `demo` gives {"loads": [a load, a load]}, and `backfill`

    {"windows": [{"start", "end", and what a load has}, ...], "failed": [{"start", "end", "error"}, ...], "seconds"}

with the windows in the order in which they were loaded. What failed before anything was done gives no document.
"""

import sys
from argparse import Namespace
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from toloka_source.log_lines import say
from toloka_source.report import LoadReport

_WIDEST = 200
"""More than any table takes: no cell is cut where there is no terminal."""


def in_short(report: LoadReport) -> str:
    """Return a load in a line: rows, seconds, and the moment up to which all of it is complete."""
    ends = [one.window_end for one in report.resources]
    complete = min((end for end in ends if end), default=None)
    until = f"complete until {complete:%Y-%m-%dT%H:%M:%SZ}" if complete and all(ends) else "not complete"
    rows = ", ".join(f"{one.name} {one.rows}" for one in report.resources)
    return f"done: rows {rows}; {report.seconds:.1f} s; {until}"


class Output:
    """What a subcommand says when it is well."""

    def __init__(self, options: Namespace) -> None:
        """Take what `--output` says; who asks for a format of the log wants nothing for people."""
        self._is_json = options.output == "json"
        self._is_text = not self._is_json and options.log_format == "auto"

    def say(self, line: str = "") -> None:
        """Print a line for people."""
        if self._is_text:
            print(line, flush=True)

    def progress(self, line: str) -> None:
        """Print a line that comes before all is done: people wait for it, machines for the document."""
        if self._is_text:
            print(line, flush=True)
        else:
            say("info", line)

    def document(self, document: Any) -> None:  # noqa: ANN401 - what JSON can hold, dataclasses and times
        """Print the document for machines."""
        if self._is_json:
            print(msgspec.json.encode(document).decode(), flush=True)

    def report(self, report: LoadReport) -> None:
        """Print a load as a table for people."""
        if not self._is_text:
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
            if one.is_forbidden:
                self.say(f"{one.name}: nothing, as the token may not read it")
                continue
            start = "everything" if one.window_start is None else f"{one.window_start:%Y-%m-%d %H:%M:%S}"
            end = "ended early" if one.window_end is None else f"{one.window_end:%Y-%m-%d %H:%M:%S}"
            self.say(f"{one.name}: {start} .. {end} (UTC){one.reason and f', as {one.reason}'}")
        self.rejected(sum(resource.rejected for resource in report.resources))

    def rejected(self, count: int) -> None:
        """Say how many objects don't fit, if any."""
        if count:
            self.say(f"{count} objects don't fit their schema: see the table rejected_items")
