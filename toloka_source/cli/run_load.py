"""`toloka-source load`: what is new in the account."""

import logging
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir

from toloka_source import LoadReport, load, toloka
from toloka_source._dlt import POSTGRES, count_paths_from_here, own_signals
from toloka_source.backfills.load_window import check_pipeline_name
from toloka_source.bi.html_report import check_report, write_report
from toloka_source.bi.list_views import view_of
from toloka_source.bi.view_sql import DATASET
from toloka_source.cli.next_step import look_into, look_into_server, look_with_dlt
from toloka_source.cli.output import Output, in_short
from toloka_source.cli.progress import collector
from toloka_source.errors import ConfigurationError
from toloka_source.times import check_is_past, parse_time

log = logging.getLogger(__name__)


def run_load(options: Namespace) -> int:
    """Load what is new; return the exit code."""
    output = Output(options)
    source = build_source(options, toloka)
    pipeline = build_pipeline(options.pipeline, options.destination, options.dataset, options)
    with own_signals():
        report = load(pipeline, source, views=True, publish=options.publish, lock_timeout=options.lock_timeout)
    output.report(report)
    output.document(report.as_dict())
    log.info(in_short(report))
    write_page(pipeline, [report], options, output)
    output.say(f"\nLook at it: {look(pipeline, report, options)}")
    report.raise_if_short()
    if not options.skip_forbidden:
        report.raise_if_forbidden()
    return 0


def build_pipeline(name: str, destination: Any, dataset: str, options: Namespace) -> dlt.Pipeline:  # noqa: ANN401
    """Return the pipeline; what would stop it or its page is found now."""
    check_pipeline_name(name)
    try:
        pipeline = dlt.pipeline(
            name,
            destination=destination,
            dataset_name=dataset,
            progress=collector(options.progress),  # type: ignore[arg-type] # None is dlt's own default
        )
        count_paths_from_here(pipeline)
    except OSError as error:
        folder = str(Path(get_dlt_pipelines_dir()).parent)
        remedy = f"can't be written: {error.strerror}; name a folder that has room and may be written to"
        raise ConfigurationError("DLT_DATA_DIR", folder, remedy) from error
    check_report(options.report, pipeline.destination)
    return pipeline


def build_source(options: Namespace, build: Any, **arguments: Any) -> Any:  # noqa: ANN401 - dlt's source
    """Build the source; an option that wasn't given leaves the word to the configuration."""
    if options.start_date is not None:
        check_is_past(parse_time(options.start_date, "start_date"), options.start_date)
    given = {
        "environment": options.environment,
        "start_date": options.start_date,
        "end_date": options.end_date,
        "resources": chosen_resources(options),
        "rescan_after_hours": 0.0 if options.full else None,
        "history": options.history or None,
        "allow_shrink": options.allow_shrink or None,
        "strict": options.strict or None,
    }
    return build(**{name: value for name, value in given.items() if value is not None}, **arguments)


def chosen_resources(options: Namespace) -> list[str] | None:
    """Return the names that were given, blanks or commas between them; None if there are none."""
    return [name for word in options.resources or () for name in word.split(",") if name] or None


def write_page(pipeline: dlt.Pipeline, reports: Sequence[LoadReport], options: Namespace, output: Output) -> None:
    """Write the page with charts, if one is wanted."""
    path = options.report
    if path:
        is_new = not Path(path).exists()
        size = write_report(path, pipeline, reports)
        if is_new and options.umask is not None:
            Path(path).chmod(0o666 & ~options.umask)
        output.say(f"\nReport: {path} ({size / 1e6:.1f} MB)")


def look(pipeline: dlt.Pipeline, report: LoadReport, options: Namespace) -> str:
    """Return a command that shows some of what was loaded."""
    credentials: Any = pipeline.destination_client().config.credentials
    table = f"{DATASET}.{view_of(report.resources[0].name)}"
    if pipeline.destination.destination_name == "duckdb" and credentials.database:
        return look_into(os.path.relpath(credentials.database), table, options.called_as)
    command = look_into_server(credentials, table) if pipeline.destination.destination_type == POSTGRES else None
    return command or look_with_dlt(pipeline.pipeline_name, options.called_as)
