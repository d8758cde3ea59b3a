"""`toloka-source backfill`: a range of time in windows, many at once."""

import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import dlt
from dlt.common.destination import Destination
from dlt.common.exceptions import MissingDependencyException

from toloka_source import ENDPOINTS, LoadReport, Window, backfill, split_windows
from toloka_source.backfills.load_window import known_destination
from toloka_source.bi.html_report import check_report
from toloka_source.cli.failure import fail, trace
from toloka_source.cli.next_step import load_again
from toloka_source.cli.options import backfill_options
from toloka_source.cli.output import Output
from toloka_source.cli.progress import windows_bar
from toloka_source.cli.run_load import chosen_resources, write_page
from toloka_source.destinations.secrets import hide
from toloka_source.errors import BackfillError, one_line
from toloka_source.log_lines import say

log = logging.getLogger(__name__)

Loaded = list[tuple[Window, LoadReport]]
Failed = Sequence[tuple[Window, Exception]]


def run_backfill(options: Namespace) -> int:
    """Load a range of time in windows; return the exit code."""
    started = monotonic()
    destination = known_destination(options.destination)
    _check_driver(destination)
    check_report(options.report, destination)
    windows = split_windows(options.start_date, options.end_date, options.by)
    output = Output(options)
    loaded: Loaded = []
    failed: Failed = ()
    try:
        _load(windows, options, output, loaded)
    except BackfillError as error:
        failed = error.failed
    finally:
        if loaded or failed:
            output.document(_document(loaded, failed, monotonic() - started))
    total = _counts(report for _, report in loaded)
    log.info("%d of %d windows: %s", len(loaded), len(windows), _line(total, monotonic() - started))
    output.say(f"{len(loaded)} of {len(windows)} windows  {_line(total, monotonic() - started)}")
    output.rejected(total["rejected"])
    _print_failed(failed, options)
    if loaded:
        with TemporaryDirectory() as folder:  # a look at the regular pipeline's would change it
            pipeline = dlt.pipeline(
                options.pipeline, folder, destination=options.destination, dataset_name=options.dataset
            )
            write_page(pipeline, [report for _, report in loaded], options, output)
    if not options.skip_forbidden:
        for _, report in loaded:
            report.raise_if_forbidden()
    return 1 if failed else 0


def _check_driver(destination: Destination[Any, Any]) -> None:
    """Find now what would fail in each window, with the error that a pipeline of dlt's raises."""
    try:
        destination.client_class  # noqa: B018 - imports it
    except ImportError as error:
        name = destination.destination_name
        raise MissingDependencyException(f"{name} destination", [f"dlt[{name}]"]) from error


def _load(windows: Sequence[Window], options: Namespace, output: Output, loaded: Loaded) -> None:
    given = {"environment": options.environment, "strict": options.strict or None}
    with windows_bar(len(windows)) as advance:

        def show(window: Window, report: LoadReport) -> None:
            loaded.append((window, report))
            output.progress(
                f"{len(loaded)} of {len(windows)}  {_range(window)}  {_line(_counts([report]), report.seconds)}"
            )
            advance()

        backfill(
            windows,
            options.destination,
            options.dataset,
            chosen_resources(options),
            workers=options.workers,
            scheduler=options.scheduler,
            pipeline_name=options.pipeline,
            views=True,
            publish=options.publish,
            lock_timeout=options.lock_timeout,
            on_loaded=show,
            **{name: value for name, value in given.items() if value is not None},
        )


def _document(loaded: Loaded, failed: Failed, seconds: float) -> dict[str, object]:
    """Return what `--output json` prints, see `output.py`."""
    return {
        "windows": [{"start": window.start, "end": window.end, **report.as_dict()} for window, report in loaded],
        "failed": [
            {"start": window.start, "end": window.end, "error": hide(one_line(reason))} for window, reason in failed
        ],
        "seconds": seconds,
    }


def _print_failed(failed: Failed, options: Namespace) -> None:
    for window, reason in failed:
        fail(f"{_range(window)}: {reason}", 1)
        if options.verbose:
            trace(reason)
    for start, end in _joined([window for window, _ in failed]):
        say("info", f"load again: {load_again(options, backfill_options(), _date(start), _date(end))}")


def _counts(reports: Iterable[LoadReport]) -> Counter[str]:
    """Return the rows of each resource, and the requests and rejected objects of all."""
    counts: Counter[str] = Counter()
    for resource in (resource for report in reports for resource in report.resources):
        counts[resource.name] += resource.rows
        counts["requests"] += resource.requests
        counts["rejected"] += resource.rejected
    return counts


def _line(counts: Counter[str], seconds: float) -> str:
    cells = [f"{name} {counts[name]}" for name in (*ENDPOINTS, "requests") if name in counts]
    return "  ".join([*cells, f"{seconds:.1f} s"])


def _range(window: Window) -> str:
    return " .. ".join(_date(moment) for moment in (window.start, window.end))


def _date(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}".removesuffix("000").removesuffix(".000").removesuffix("T00:00:00")


def _joined(windows: Sequence[Window]) -> Sequence[tuple[datetime | None, datetime | None]]:
    """Return the ranges that the windows, which are in their order, cover without a hole."""
    ranges: list[tuple[datetime | None, datetime | None]] = []
    for window in windows:
        start = ranges.pop()[0] if ranges and ranges[-1][1] == window.start else window.start
        ranges.append((start, window.end))
    return ranges
