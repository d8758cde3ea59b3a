"""One run of a pipeline, whatever the last one left behind: heal, load, report.

The destination is the only truth: it holds the state beside the data. The working folder is scratch. Each run brings a
package that an interrupted run left there to its end, then empties the folder and goes on from the destination's state.
So nothing in the folder, however a process was killed, can be mistaken for something that was loaded; and a run that
ended anywhere before its last job is simply done again.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, TypeGuard

import dlt
from dlt.common.destination import TLoaderFileFormat
from dlt.common.destination.client import WithStateSync
from dlt.common.destination.exceptions import DestinationException, DestinationTerminalException
from dlt.common.typing import TRefreshMode
from dlt.destinations.exceptions import DatabaseUndefinedRelation, DestinationConnectionError
from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed
from filelock import FileLock, Timeout
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from toloka_source.bi.views import out_of_the_way, pins_tables, publish
from toloka_source.errors import BusyError, DestinationError, DestinationLockedError, TolokaError
from toloka_source.report import LoadReport, ResourceReport, resource_reports

log = logging.getLogger(__name__)

_LOCATION = "toloka_location"
"""Where a working folder's state says which destination it belongs to."""

FILE_FORMATS: Mapping[str, TLoaderFileFormat] = {"dlt.destinations.postgres": "insert_values"}
"""Where dlt would rather load CSV, which makes NULL of an empty text."""

# The first load of 200,000 objects took 850 MB: a transaction holds up to 122,880 rows as they are, and DuckDB puts
# small groups of rows that are on disk together again. So, and in as much CPU time, it takes 410 MB.
_DUCKDB_FILES: Mapping[str, object] = {"recommended_file_size": 2_500_000, "loader_parallelism_strategy": "sequential"}
"""The first load's files, in bytes of Parquet: dlt closes DuckDB after each, which then writes the rows to disk."""

_DUCKDB_SETTINGS: Mapping[str, object] = {"max_vacuum_tasks": 0, "threads": 1}
"""The first load's settings: a second thread takes 50 MB and 15 % more CPU, and saves no time."""


def load(
    pipeline: dlt.Pipeline,
    source: DltSource,
    refresh: TRefreshMode | None = None,
    views: bool = True,  # noqa: FBT001, FBT002 - an argument like the others
) -> LoadReport:
    """Run the pipeline on the source, after healing what an interrupted run left.

    Args:
        pipeline: Any dlt pipeline.
        source: What `toloka` returned; a fresh one for each run.
        refresh: dlt's refresh mode: "drop_sources" forgets the tables and the state, and loads everything again.
        views: Whether to note the load and to make the views for BI tools, in DuckDB and PostgreSQL. What goes wrong
            there is a warning.

    Raises:
        BusyError: Another process runs this pipeline.
        TolokaError: What went wrong on the way from the API; nothing was loaded and the cursor has not moved.
        DestinationLockedError: Another process holds the destination's file.
        DestinationError: The destination refused the data for good. The cursor has not moved, and the next run begins
            anew.
        PipelineStepFailed: Any other failure of dlt's.
    """
    started = monotonic()
    lock = FileLock(Path(pipeline.pipelines_dir) / f"{pipeline.pipeline_name}.lock")
    try:
        with lock.acquire(blocking=False), ExitStack() as settings:
            location = _heal(pipeline)
            pipeline.sync_destination()
            # dlt's run would do it again; where a later dlt doesn't know this, it does
            pipeline._state_restored = True  # noqa: SLF001
            if not refresh and _replaces_nothing(pipeline, source):
                # merging into nothing would write all of it twice; such a package can't be gone on with, so the next
                # run must not take it for one of its own
                location = ""
                for resource in source.selected_resources.values():
                    resource.apply_hints(write_disposition="replace")
                settings.enter_context(_small_steps(pipeline))
            pipeline.set_local_state_val(_LOCATION, location)
            reports = _load(pipeline, source, refresh)
            if views:
                publish(pipeline, reports, monotonic() - started)
    except Timeout:
        message = f"another process runs the pipeline {pipeline.pipeline_name!r}: wait until it ends"
        raise BusyError(message) from None
    except (PipelineStepFailed, DestinationException) as error:
        raise translate(error) from error
    return LoadReport(tuple(reports), monotonic() - started)


def _heal(pipeline: dlt.Pipeline) -> str:
    """Finish what an interrupted run left, then empty the working folder; return what the place is known by."""
    _use_this_folder(pipeline)
    client = pipeline.destination_client()
    place = f"{pipeline.destination.destination_type} {client.config} {pipeline.dataset_name}"
    location = sha256(place.encode()).hexdigest()
    is_same_place = pipeline.state["_local"].get(_LOCATION, location) == location
    if is_same_place and pipeline.has_pending_data:
        _finish(pipeline)
    if not is_same_place or isinstance(client, WithStateSync):
        _empty(pipeline)
    return location


@retry(retry=retry_if_exception_type(OSError), stop=stop_after_attempt(20), wait=wait_fixed(0.1), reraise=True)
def _empty(pipeline: dlt.Pipeline) -> None:
    """Empty the working folder; a process that begins, and will find it locked, may write there meanwhile."""
    # without its state it counts as empty, so that a kill can't leave half of a package in it
    (Path(pipeline.working_dir) / pipeline.STATE_FILE).unlink(missing_ok=True)
    pipeline.drop()


def _use_this_folder(pipeline: dlt.Pipeline) -> None:
    """Let a relative path count from where this run is started; dlt's count from where the very first one was."""
    first, here = pipeline.get_local_state_val("initial_cwd"), str(Path(dlt.current.run_context().local_dir).absolute())
    pipeline.set_local_state_val("initial_cwd", here)
    if pipeline.destination.config_params.get("local_dir") == first:
        pipeline.destination.config_params["local_dir"] = here


def _finish(pipeline: dlt.Pipeline) -> None:
    if extracted := pipeline.list_extracted_load_packages():
        # dlt would bring them into shape by the schema that the destination has, not by their own; and where it was
        # killed between two steps it can't go on at all: the API is asked again
        log.warning("dropped the packages %s of an interrupted run", ", ".join(extracted))
        return
    log.warning("loading the packages %s of an interrupted run", ", ".join(pipeline.list_normalized_load_packages()))
    try:
        _run(pipeline, None)
    except PipelineStepFailed as error:
        if not any(isinstance(cause, DestinationConnectionError) for cause in _chain(error)):
            # whatever dlt takes it for: it was tried in two runs now
            _empty(pipeline)
        raise


def _load(pipeline: dlt.Pipeline, source: DltSource, refresh: TRefreshMode | None) -> list[ResourceReport]:
    names = list(source.selected_resources)
    lost = [] if refresh else _lost_resources(pipeline, source)
    reports = []
    if lost:
        log.warning("tables of %s are gone from the destination: everything is loaded again", ", ".join(lost))
        reports += _run(pipeline, source.with_resources(*lost), "drop_resources")
    if rest := [name for name in names if name not in lost]:
        reports += _run(pipeline, source.with_resources(*rest), refresh)
    return sorted(reports, key=lambda report: names.index(report.name))


def _lost_resources(pipeline: dlt.Pipeline, source: DltSource) -> list[str]:
    """Return the resources that have a table which the state knows and the destination doesn't have."""
    if source.schema.name not in pipeline.schemas:
        return []
    data_tables = pipeline.schemas[source.schema.name].data_tables()
    tables = {str(table["name"]): str(table["resource"]) for table in data_tables}
    found = _tables_at_destination(pipeline, tables)
    lost = {resource for name, resource in tables.items() if name not in found}
    return [name for name in source.selected_resources if name in lost]


def _tables_at_destination(pipeline: dlt.Pipeline, names: Iterable[str]) -> set[str]:
    with pipeline.destination_client() as client:
        if not hasattr(client, "get_storage_tables"):
            return set(names)  # it can't be asked
        return {name for name, columns in client.get_storage_tables(names) if columns}


def _replaces_nothing(pipeline: dlt.Pipeline, source: DltSource) -> bool:
    """Tell whether this is the first load into an empty DuckDB dataset, which no other process can load into."""
    return (
        pipeline.destination.destination_type == "dlt.destinations.duckdb"
        and source.schema.name not in pipeline.schemas
        and not _tables_at_destination(pipeline, source.selected_resources)
    )


@contextmanager
def _small_steps(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Load file after file into DuckDB, so that it holds the rows of one in memory; what the user has set stays."""
    destination = pipeline.destination
    before = destination.config_params, destination.caps_params
    credentials: Any = pipeline.destination_client().config.credentials  # DuckDB's
    if credentials.external_conn() is None:  # one that the user opened keeps its settings
        credentials.global_config = {**_DUCKDB_SETTINGS, **(credentials.global_config or {})}
        destination.config_params = {**destination.config_params, "credentials": credentials}
    destination.caps_params = {**_DUCKDB_FILES, **destination.caps_params}
    try:
        yield
    finally:
        destination.config_params, destination.caps_params = before


def _run(pipeline: dlt.Pipeline, source: DltSource | None, refresh: TRefreshMode | None = None) -> list[ResourceReport]:
    try:
        _run_dlt(pipeline, source, refresh)
    except PipelineStepFailed as error:
        if _is_refusal(error):
            # dlt would try the package again, and fail again, in each later run
            _empty(pipeline)
        if source is None or not any(isinstance(cause, DatabaseUndefinedRelation) for cause in _chain(error)):
            raise
        log.warning("a table has gone from the destination, and is made again: %s", _last_line(error))
        forget_tables(pipeline, source.schema.name)
        _run_dlt(pipeline, source, refresh)
    return [*resource_reports(pipeline.last_trace, list(source.selected_resources))] if source else []


def _run_dlt(pipeline: dlt.Pipeline, source: DltSource | None, refresh: TRefreshMode | None) -> None:
    file_format = FILE_FORMATS.get(pipeline.destination.destination_type)
    if source and pins_tables(pipeline) and (refresh or _replaces(source)):
        # dlt's `run`, except that the views don't stand in its way when it drops tables, and not longer than it takes
        pipeline.extract(source, refresh=refresh, loader_file_format=file_format)
        pipeline.normalize()
        with out_of_the_way(pipeline):
            pipeline.load()
        return
    # a package that was left may drop tables too
    with nullcontext() if source else out_of_the_way(pipeline):
        pipeline.run(source, refresh=refresh, loader_file_format=file_format)  # type: ignore[arg-type] # dlt's own defaults are None


def _replaces(source: DltSource) -> bool:
    return any(resource.write_disposition == "replace" for resource in source.selected_resources.values())


def forget_tables(pipeline: dlt.Pipeline, schema: str) -> None:
    """Let dlt look which tables there are; it takes for given what it has noted of a schema at the destination."""
    with pipeline.destination_client() as client:
        if not isinstance(client, SqlJobClientWithStagingDataset):
            return
        noted = client.schema.version_table_name
        for dataset in (nullcontext(), client.with_staging_dataset()):
            with dataset, suppress(DatabaseUndefinedRelation):
                table = client.sql_client.make_qualified_table_name(noted)
                client.sql_client.execute_sql(f"DELETE FROM {table} WHERE schema_name = %s", schema)  # noqa: S608


def translate(error: Exception) -> Exception:
    """Return the error of this package that dlt wrapped, or one that says what the destination said, or dlt's own."""
    for cause in _chain(error):
        if isinstance(cause, TolokaError):
            return cause
        if "Could not set lock on file" in str(cause):
            said = re.split("However|See also", str(cause).partition("Could not set lock")[2])[0].strip()
            return DestinationLockedError(f"end the other process, then run again: could not set lock {said}")
    if _is_refusal(error):
        reason = _last_line(error)
        return DestinationError(f"the destination refused the data; the next run begins where this one began: {reason}")
    return error


def _last_line(error: PipelineStepFailed) -> str:
    """Return the last line of the traceback that dlt quotes."""
    lines = [line for line in str(error.exception).splitlines() if re.match(r"[a-z_]\w*(\.\w+)+: ", line)]
    return (lines or [" ".join(str(error.exception).split())])[-1]


def _is_refusal(error: Exception) -> TypeGuard[PipelineStepFailed]:
    if not isinstance(error, PipelineStepFailed):
        return False
    return error.step == "load" and any(isinstance(cause, DestinationTerminalException) for cause in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
