"""Load Toloka's projects and trainings into a warehouse, and say what was loaded.

    uv run pipelines/toloka_pipeline.py --demo   # a local Toloka, no account needed
    uv run pipelines/toloka_pipeline.py          # your account: SOURCES__TOLOKA__TOKEN, or .dlt/secrets.toml

Exit code: 0 done, 1 failed, 2 wrong usage or configuration (no request was made).
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.runtime.collector import LogCollector
from dlt.common.typing import TRefreshMode
from dlt.pipeline.progress import TCollectorArg

from toloka_source import ENDPOINTS, LoadReport, TolokaError, load, toloka
from toloka_source.errors import ConfigurationError

PROGRESS = ("auto", "tqdm", "enlighten", "alive_progress", "log", "off")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.demo:
            _demo(options)
        else:
            source = _source(options)
            pipeline = _pipeline("toloka", options.destination, options)
            _print_report(load(pipeline, source))
            _print_next_step(pipeline)
    except KeyboardInterrupt:
        return _fail("interrupted; the next run goes on from the last complete one", options, 1)
    except (ConfigurationError, ConfigurationException, UnknownDestinationModule) as error:
        return _fail(error, options, 2)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line
        return _fail(error, options, 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Load Toloka's projects and trainings into a warehouse.")
    add = parser.add_argument
    add("--demo", action="store_true", help="load a local Toloka, let a day pass, load again; no token needed")
    add("--destination", default="duckdb", help="any dlt destination (default: duckdb)")
    add("--dataset", default="toloka_data", help="the dataset, or schema, of the tables (default: toloka_data)")
    add("--resources", nargs="+", metavar="NAME", help=f"which to load (default: {' '.join(ENDPOINTS)})")
    add("--environment", help="production or sandbox (default: what the configuration says, else production)")
    add("--start-date", metavar="DATE", help="load nothing that is older, e.g. 2026-01-31 or 2026-01-31T08:00:00")
    add("--end-date", metavar="DATE", help="back-fill up to this date; the cursor stays where it is")
    add("--full", action="store_true", help="read everything again now, to find edits")
    add("--strict", action="store_true", help="fail when an object doesn't fit its schema, before anything is loaded")
    add("--progress", nargs="?", choices=PROGRESS, const="auto", default="auto", help="default: a bar on a terminal")
    add("--verbose", action="store_true", help="show the traceback of an error")
    return parser


def _pipeline(name: str, destination: Any, options: argparse.Namespace, suffix: str = "") -> dlt.Pipeline:  # noqa: ANN401
    return dlt.pipeline(
        name,
        destination=destination,
        dataset_name=options.dataset + suffix,
        progress=_progress(options.progress),  # type: ignore[arg-type] # None is dlt's own default
    )


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

        def run(refresh: TRefreshMode | None = None) -> None:
            # an edit is no change that a cursor sees: a whole scan after this day would hide what the cursor does
            arguments = {} if options.full else {"rescan_after_hours": None}
            source = _source(options, token="any", base_url=api.base_url, **arguments)  # noqa: S106 - no secret
            _print_report(load(pipeline, source, refresh))

        run("drop_sources")  # of the last demo
        print(f"\nA day passes: {_pass_a_day(account)}")
        run()
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
        window = f"{start} .. {resource.window_end:%Y-%m-%d %H:%M:%S}"
        rows.append((resource.name, f"{resource.rows}", f"{resource.requests}", window, f"{resource.seconds:.1f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if rejected := sum(resource.rejected for resource in report.resources):
        print(f"{rejected} objects don't fit their schema: see the table rejected_items")


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
