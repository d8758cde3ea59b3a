"""Load Toloka's projects and trainings into a warehouse, and say what was loaded.

    uv run pipelines/toloka_pipeline.py --demo   # a local Toloka, no account needed
    uv run pipelines/toloka_pipeline.py          # your account: SOURCES__TOLOKA__TOKEN, or .dlt/secrets.toml
    uv run pipelines/toloka_pipeline.py backfill --start-date 2025-01-01 --end-date 2026-01-01 --by month --workers 4

Exit code: 0 done, 1 failed, 2 wrong usage or configuration (no request was made).
"""

import argparse
import os
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.runtime.collector import LogCollector
from dlt.common.typing import TRefreshMode
from dlt.pipeline.progress import TCollectorArg

from toloka_source import ENDPOINTS, LoadReport, TolokaError, Window, backfill, load, split_windows, toloka
from toloka_source._dlt import count_paths_from_here
from toloka_source.backfills.load_window import known_destination
from toloka_source.backfills.windows import BY
from toloka_source.bi.html_report import check_report, write_report
from toloka_source.errors import BackfillError, ConfigurationError

PROGRESS = ("auto", "tqdm", "enlighten", "alive_progress", "log", "off")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    is_backfill = arguments[:1] == ["backfill"]
    options = _backfill_parser().parse_args(arguments[1:]) if is_backfill else _parser().parse_args(arguments)
    try:
        if is_backfill:
            return _backfill(options)
        if options.demo:
            _demo(options)
        else:
            source = _source(options)
            pipeline = _pipeline("toloka", options.destination, options)
            report = load(pipeline, source, views=True)
            _print_report(report)
            _write_page(pipeline, [report], options)
            _print_next_step(pipeline)
    except KeyboardInterrupt:
        kept = "the windows above are loaded" if is_backfill else "the next run goes on from the last complete one"
        return _fail(f"interrupted; {kept}", options, 1)
    except (ConfigurationError, ConfigurationException, UnknownDestinationModule) as error:
        return _fail(error, options, 2)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line
        return _fail(error, options, 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Load Toloka's projects and trainings into a warehouse.",
        epilog="To load a range of time in windows, many at once: %(prog)s backfill --help",
        parents=[_common_options()],
    )
    add = parser.add_argument
    add("--demo", action="store_true", help="load a local Toloka, let a day pass, load again; no token needed")
    add("--start-date", metavar="DATE", help="load nothing that is older, e.g. 2026-01-31 or 2026-01-31T08:00:00")
    add("--end-date", metavar="DATE", help="back-fill up to this date; the cursor stays where it is")
    add("--full", action="store_true", help="read everything again now, to find edits")
    add("--progress", nargs="?", choices=PROGRESS, const="auto", default="auto", help="default: a bar on a terminal")
    return parser


def _backfill_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toloka_pipeline.py backfill",
        description="Load a range of time in windows, each by a process of its own; the cursor stays where it is.",
        parents=[_common_options()],
    )
    add = parser.add_argument
    add("--start-date", metavar="DATE", required=True, help="load what is younger, e.g. 2026-01-31")
    add("--end-date", metavar="DATE", required=True, help="load up to this date")
    add("--by", default="month", help=f"a window's length: {', '.join(BY)} (default: month)")
    add("--workers", type=int, default=4, metavar="N", help="how many windows are loaded at once (default: 4)")
    return parser


def _common_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--destination", default="duckdb", help="any dlt destination (default: duckdb)")
    add("--dataset", default="toloka_data", help="the dataset, or schema, of the tables (default: toloka_data)")
    add("--resources", nargs="+", metavar="NAME", help=f"which to load (default: {' '.join(ENDPOINTS)})")
    add("--environment", help="production or sandbox (default: what the configuration says, else production)")
    add("--report", metavar="FILE", help="write a page with charts of the data to this file, such as report.html")
    add("--strict", action="store_true", help="fail when an object doesn't fit its schema, before anything is loaded")
    add("--verbose", action="store_true", help="show the traceback of an error")
    return parser


def _pipeline(name: str, destination: Any, options: argparse.Namespace, suffix: str = "") -> dlt.Pipeline:  # noqa: ANN401
    pipeline = dlt.pipeline(
        name,
        destination=destination,
        dataset_name=options.dataset + suffix,
        progress=_progress(options.progress),  # type: ignore[arg-type] # None is dlt's own default
    )
    count_paths_from_here(pipeline)
    check_report(options.report, pipeline.destination)
    return pipeline


def _progress(kind: Any) -> TCollectorArg | None:  # noqa: ANN401 - one of PROGRESS
    if kind == "auto":
        kind = "tqdm" if sys.stderr.isatty() else "log"
    if kind == "log":
        return LogCollector(log_period=2.0, logger=sys.stderr, dump_system_stats=False)
    collector: TCollectorArg | None = None if kind == "off" else kind
    return collector


def _source(options: argparse.Namespace, **arguments: Any) -> Any:  # noqa: ANN401 - dlt's source
    """Build the source; an option that wasn't given leaves the word to the configuration."""
    given = {
        "environment": options.environment,
        "start_date": options.start_date,
        "end_date": options.end_date,
        "rescan_after_hours": 0.0 if options.full else None,
        "strict": options.strict or None,
    }
    arguments = {name: value for name, value in given.items() if value is not None} | arguments
    # the demo reads a section of its own, not the configuration of the real source
    build = toloka.clone(name="toloka_demo", section="toloka_demo") if options.demo else toloka
    source = build(**arguments)
    return source.with_resources(*_resources(options.resources))


def _resources(names: Sequence[str] | None) -> list[str]:
    wanted = [name for word in names or ENDPOINTS for name in word.split(",") if name]
    for name in wanted:
        if name not in ENDPOINTS:
            raise ConfigurationError("resources", name, f"unknown; use one of {', '.join(ENDPOINTS)}")
    return wanted


def _backfill(options: argparse.Namespace) -> int:
    """Load a range of time in windows; return the exit code."""
    started = monotonic()
    check_report(options.report, known_destination(options.destination))
    windows = split_windows(options.start_date, options.end_date, options.by)
    given = {"environment": options.environment, "strict": options.strict or None}
    total: Counter[str] = Counter()
    failed: Sequence[tuple[Window, Exception]] = ()
    reports: list[LoadReport] = []

    def show(window: Window, report: LoadReport) -> None:
        total.update(_counts(report))
        reports.append(report)
        line = _line(_counts(report), report.seconds)
        print(f"{len(reports)} of {len(windows)}  {_range(window)}  {line}", flush=True)

    try:
        backfill(
            windows,
            options.destination,
            options.dataset,
            _resources(options.resources),
            workers=options.workers,
            views=True,
            on_loaded=show,
            **{name: value for name, value in given.items() if value is not None},
        )
    except BackfillError as error:
        failed = error.failed
    print(f"{len(reports)} of {len(windows)} windows  {_line(total, monotonic() - started)}")
    _print_rejected(total["rejected"])
    for window, reason in failed:
        _fail(f"{_range(window)}: {reason}", options, 1)
        if options.verbose:
            traceback.print_exception(reason)
    for start, end in _joined([window for window, _ in failed]):
        print(f"load again: {_command(options, start, end)}", file=sys.stderr)
    if reports:
        with TemporaryDirectory() as folder:  # a look at the regular pipeline's would change it
            pipeline = dlt.pipeline("toloka", folder, destination=options.destination, dataset_name=options.dataset)
            _write_page(pipeline, reports, options)
    return 1 if failed else 0


def _counts(report: LoadReport) -> Counter[str]:
    """Return the rows of each resource, and the requests and rejected objects of all."""
    counts = Counter({resource.name: resource.rows for resource in report.resources})
    counts["requests"] = sum(resource.requests for resource in report.resources)
    counts["rejected"] = sum(resource.rejected for resource in report.resources)
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


def _command(options: argparse.Namespace, start: datetime | None, end: datetime | None) -> str:
    """Return the command that loads this part of a back-fill again."""
    words = ["uv", "run", os.path.relpath(__file__), "backfill", "--start-date", _date(start), "--end-date", _date(end)]
    for name in ("by", "workers", "destination", "dataset", "environment", "report"):
        value = getattr(options, name)
        if value != _backfill_parser().get_default(name):
            words += [f"--{name}", str(value)]
    if options.strict:
        words.append("--strict")
    if options.resources:
        words += ["--resources", *options.resources]
    return shlex.join(words)


def _demo(options: argparse.Namespace) -> None:
    """Load a local Toloka, let a day pass there, load again."""
    from toloka_source.emulator import Account, Clock, Emulator  # noqa: PLC0415 - only the demo needs its extra

    clock = Clock(datetime.now(UTC) - timedelta(days=1, minutes=1))
    account = Account.lifelike(projects=1_000, clock=clock)
    destination = (
        dlt.destinations.duckdb("toloka_demo.duckdb") if options.destination == "duckdb" else options.destination
    )
    pipeline = _pipeline("toloka_demo", destination, options, suffix="_demo")
    with Emulator(account) as api:
        print(f"A local Toloka at {api.base_url}: {len(account.projects)} projects, {len(account.trainings)} trainings")

        def run(refresh: TRefreshMode | None = None) -> LoadReport:
            # an edit is no change that a cursor sees: a whole scan after this day would hide what the cursor does
            arguments = {} if options.full else {"rescan_after_hours": None}
            source = _source(options, token="any", base_url=api.base_url, **arguments)  # noqa: S106 - no secret
            report = load(pipeline, source, refresh, views=True)
            _print_report(report)
            return report

        run("drop_sources")  # of the last demo
        print(f"\nA day passes: {_pass_a_day(account)}")
        report = run()
    _write_page(pipeline, [report], options)
    _print_next_step(pipeline)


def _pass_a_day(account: Any) -> str:  # noqa: ANN401 - the emulator's Account
    """Change what a requester changes in a day; return it in words."""
    started = [training["id"] for training in account.trainings if training["status"] == "CLOSED"][:8]
    for hour in range(24):
        account.clock.advance(hours=1)
        if hour % 2 == 0:
            project = account.create_project(public_name=f"Day's project {hour // 2 + 1}")
        if hour % 3 == 0:
            account.create_training(project["id"], private_name=f"Day's training {hour // 3 + 1}")
            account.start_training(started[hour // 3])
    return f"12 projects and 8 trainings are created, {len(started)} older trainings are started again"


def _print_report(report: LoadReport) -> None:
    rows = [("resource", "rows", "requests", "window (UTC)", "seconds")]
    for resource in report.resources:
        start = "everything" if resource.window_start is None else f"{resource.window_start:%Y-%m-%d %H:%M:%S}"
        end = "ended early" if resource.window_end is None else f"{resource.window_end:%Y-%m-%d %H:%M:%S}"
        window = f"{start} .. {end}"
        rows.append((resource.name, f"{resource.rows}", f"{resource.requests}", window, f"{resource.seconds:.1f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _print_rejected(sum(resource.rejected for resource in report.resources))


def _print_rejected(count: int) -> None:
    if count:
        print(f"{count} objects don't fit their schema: see the table rejected_items")


def _write_page(pipeline: dlt.Pipeline, reports: Sequence[LoadReport], options: argparse.Namespace) -> None:
    if options.report:
        size = write_report(options.report, pipeline, reports)
        print(f"\nReport: {options.report} ({size / 1e6:.1f} MB)")


def _print_next_step(pipeline: dlt.Pipeline) -> None:
    file = getattr(pipeline.destination_client().config.credentials, "database", None)
    if pipeline.destination.destination_name == "duckdb" and file:
        query = f"SELECT status, count(*) FROM {pipeline.dataset_name}.projects GROUP BY status"  # noqa: S608 - shown
        print(f'\nLook at it: uv run duckdb {os.path.relpath(file)} -c "{query}"')
    else:
        print(f"\nLook at it: uv run dlt pipeline {pipeline.pipeline_name} info")


def _fail(error: Exception | str, options: argparse.Namespace, code: int) -> int:
    if isinstance(error, Exception) and options.verbose:
        traceback.print_exception(error)
    kind = "" if isinstance(error, TolokaError | str) else f"{type(error).__name__}: "
    print(f"error: {kind}{' '.join(str(error).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
