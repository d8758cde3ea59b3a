"""One run of a pipeline: recover what an interrupted run left behind, load, report.

Pending packages are loaded first, as dlt's own `run` does. Then the source's state is taken from the destination, not
from the working folder: a database that was restored from a copy goes on from its own cursor. Only packages, tables and
state of this source are ever dropped.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from time import monotonic

import dlt
from dlt.common.destination.exceptions import DestinationException
from dlt.common.pipeline import LoadInfo
from dlt.common.schema import Schema
from dlt.common.typing import TRefreshMode
from dlt.extract import DltResource, DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from toloka_source import _dlt
from toloka_source.bi.view_sql import check_views
from toloka_source.bi.views import publish as publish_views
from toloka_source.bi.views import views_block_drops, views_emptied
from toloka_source.destinations.failures import is_refusal, is_table_gone, last_line, translated
from toloka_source.destinations.place import check_names, place_of, tables_at
from toloka_source.destinations.secrets import check_credentials, without_secrets
from toloka_source.errors import ConfigurationError
from toloka_source.loading.beside_readers import BesideReaders
from toloka_source.loading.failures_noted import failures_noted
from toloka_source.loading.first_load import TablesAppearedError, appending, assert_first, file_by_file, is_first_load
from toloka_source.loading.lock import locked
from toloka_source.loading.recovery import LAST_LOADED, NOWHERE, PLACE, drop_pending, note, noted, recover, take_state
from toloka_source.loading.reports import resource_reports
from toloka_source.report import LoadReport, ResourceReport
from toloka_source.source import toloka
from toloka_source.tables.forbidden import others_loaded
from toloka_source.tables.further_tables import further_tables
from toloka_source.tables.log_filters import quiet_package_warnings
from toloka_source.unknown_settings import warn_of_unknown_settings

log = logging.getLogger(__name__)

_Loaded = tuple[Sequence[ResourceReport], LoadInfo]
"""What a run did, by us and by dlt."""


def load(
    pipeline: dlt.Pipeline,
    source: DltSource | DltResource,
    *,
    refresh: TRefreshMode | None = None,
    views: bool | str = False,
    publish: bool = True,
    lock_timeout: float = 60.0,
) -> LoadReport:
    """Run the pipeline on the source, after recovering what an interrupted run left behind.

    Args:
        pipeline: Any dlt pipeline with a destination.
        source: What `toloka` returned, or a resource of it; it stays as it is, and can be loaded again.
        refresh: dlt's refresh mode: "drop_sources" forgets the tables and the state, and loads everything again.
        views: Whether to note the load and to make the views for BI tools, in DuckDB, DuckLake and PostgreSQL; a text
            is the name of their dataset, `toloka_bi` unless given. What goes wrong there is a warning, unless the disk
            is full or the connection breaks. PostgreSQL then refuses a plain `DROP TABLE` of what the views read, and
            dlt's own `refresh`; `load` with `refresh` works.
        publish: Whether to load into a copy of a DuckDB file, which then takes the file's place at once, so that no
            reader waits or fails. The file itself is loaded into where that can't be: where this process has it open.
        lock_timeout: How many seconds to wait for another process that has the DuckDB file, or loads into the same
            place.

    Raises:
        ConfigurationError: An argument can't work.
        BusyError: Another process runs this pipeline.
        TolokaError: What went wrong on the way from the API; nothing was loaded and the cursor has not moved.
        DestinationLockedError: Another process still holds the destination's file.
        DestinationError: The destination refused the data for good: the cursor has not moved, and the next run begins
            anew. Or it can't be reached or written to.
        FileError: A file on this machine can't be written.
        PipelineStepFailed: Any other failure of dlt's.
    """
    started = monotonic()
    source = _checked(pipeline, source)
    names = list(source.selected_resources)
    views_in = check_views(views, pipeline.dataset_name)
    check_names(pipeline, [views_in] if views else [])
    if source.schema.name == toloka.name:
        warn_of_unknown_settings(pipeline.pipeline_name)
    folder = Path(pipeline.pipelines_dir, pipeline.pipeline_name)
    beside = BesideReaders(pipeline, publish=publish, lock_timeout=lock_timeout, turn_timeout=lock_timeout)
    try:
        busy = f"another process runs the pipeline {pipeline.pipeline_name!r}"
        with locked(folder, busy), beside.opened():
            recover(pipeline, source.schema.name)
            beside.publish()
            refresh = refresh or pipeline.refresh
            with beside.kept_open():
                take_state(pipeline, source.schema.name)
                is_first = not refresh and is_first_load(pipeline, source)
                lost = [] if refresh or is_first else _lost_resources(pipeline, source)
            with quiet_package_warnings(), ExitStack() as small_files:
                if is_first:
                    small_files.enter_context(file_by_file(pipeline))
                noted = failures_noted(pipeline, names, started, beside) if views else nullcontext()
                # a refresh would drop the table of a list that can't be read
                with noted, nullcontext() if refresh else others_loaded(names):
                    loaded = _run_first(pipeline, source, beside, small_files) if is_first else None
                    reports, info = loaded or _load(pipeline, source, refresh, lost, beside)
                if views:
                    with beside.writing():
                        publish_views(pipeline, reports, monotonic() - started, views_in)
    except (PipelineStepFailed, DestinationException, OSError) as error:
        cause = translated(without_secrets(error))
        raise cause from cause.__cause__
    return LoadReport(tuple(reports), monotonic() - started, (info,))


def _checked(pipeline: dlt.Pipeline, source: DltSource | DltResource) -> DltSource:
    if not isinstance(pipeline, dlt.Pipeline):
        raise ConfigurationError("pipeline", pipeline, "must be what dlt.pipeline returns")
    if pipeline.destination is None:
        raise ConfigurationError("destination", None, "name one, as in dlt.pipeline('toloka', destination='duckdb')")
    if isinstance(source, DltResource) and source.source_name:
        # what dlt's run would put into the pipeline's default schema, with a state of its own there
        source = DltSource(Schema(source.source_name), source.section, [source])
    if not isinstance(source, DltSource):
        raise ConfigurationError("source", source, "must be what toloka() returns, or a resource of it")
    check_credentials(pipeline)
    return source


def _load(
    pipeline: dlt.Pipeline, source: DltSource, refresh: TRefreshMode | None, lost: Sequence[str], beside: BesideReaders
) -> _Loaded:
    if lost:
        # not by dlt's refresh, which drops all tables of a resource: what they note of the past can't be read again
        log.warning("tables of %s are gone from the destination: everything is loaded again", ", ".join(lost))
        with beside.writing():
            _dlt.forget_tables(pipeline, source.schema.name)
        state = dict(pipeline.state["sources"][source.name])
        state["resources"] = {name: one for name, one in state.get("resources", {}).items() if name not in lost}
        _dlt.set_state(pipeline, source.name, state)
    # a copy, as a run writes into its source
    return _run(pipeline, source.with_resources(*source.selected_resources), refresh, beside)


def _lost_resources(pipeline: dlt.Pipeline, source: DltSource) -> list[str]:
    """Return the resources that have a table which the state knows and the destination doesn't have.

    Further tables don't count: they have rows for some objects alone, and are made again when there is one.
    """
    has_state = pipeline.state.get("sources", {}).get(source.name)
    if not has_state or source.schema.name not in pipeline.schemas:
        return []
    data_tables = pipeline.schemas[source.schema.name].data_tables()
    tables = {str(table["name"]): str(table["resource"]) for table in data_tables}
    tables = {name: resource for name, resource in tables.items() if name not in further_tables(resource)}
    found = tables_at(pipeline, tables)
    lost = {resource for name, resource in tables.items() if name not in found}
    return [name for name in source.selected_resources if name in lost]


def _run_first(
    pipeline: dlt.Pipeline, source: DltSource, beside: BesideReaders, small_files: ExitStack
) -> _Loaded | None:
    """Run the first load; what is left of it when it is killed is dropped, and read again.

    Nothing was loaded, no small files follow, and None is returned, if another load has made the tables meanwhile.
    """
    place, schema = place_of(pipeline).digest, source.schema.name
    note(pipeline, {PLACE: NOWHERE})
    usual = beside.keeps_open, beside.before_load
    beside.keeps_open, beside.before_load = False, partial(assert_first, pipeline, source)
    try:
        info = pipeline.run(appending(source))
    except TablesAppearedError:
        log.warning("another load has made the same tables meanwhile: this one begins again, and merges with them")
        beside.keeps_open, beside.before_load = usual
        small_files.close()
        drop_pending(pipeline, schema)
        take_state(pipeline, schema)
        note(pipeline, {PLACE: place})
        return None
    except PipelineStepFailed as error:
        if is_refusal(error):
            drop_pending(pipeline, schema)
        raise
    note(pipeline, {PLACE: place})
    return _reports(pipeline, source, info)


def _run(pipeline: dlt.Pipeline, source: DltSource, refresh: TRefreshMode | None, beside: BesideReaders) -> _Loaded:
    schema = source.schema.name
    try:
        info = _run_dlt(pipeline, source, refresh)
    except PipelineStepFailed as error:
        if is_table_gone(error) or is_refusal(error):
            # dlt would try the package again, and fail again, in each later run
            drop_pending(pipeline, schema)
        if not is_table_gone(error):
            raise
        log.warning("a table has gone from the destination, and is made again: %s", last_line(error))
        with beside.writing():
            _dlt.forget_tables(pipeline, schema)
        take_state(pipeline, schema)
        info = _run_dlt(pipeline, source, refresh)
    return _reports(pipeline, source, info)


def _reports(pipeline: dlt.Pipeline, source: DltSource, info: LoadInfo) -> _Loaded:
    """Return what was loaded; note the packages, which the next run deletes."""
    note(pipeline, {LAST_LOADED: [*noted(pipeline, LAST_LOADED, []), *info.loads_ids]})
    return [*resource_reports(pipeline, source)], info


def _run_dlt(pipeline: dlt.Pipeline, source: DltSource, refresh: TRefreshMode | None) -> LoadInfo:
    if views_block_drops(pipeline) and (refresh or _replaces(source)):
        # dlt's `run`, except that the views don't stand in its way when it drops tables, and not longer than it takes
        pipeline.extract(source, refresh=refresh)
        pipeline.normalize()
        with views_emptied(pipeline):
            return pipeline.load()
    return pipeline.run(source, refresh=refresh)  # type: ignore[arg-type] # dlt's own default is None


def _replaces(source: DltSource) -> bool:
    for resource in source.selected_resources.values():
        disposition = resource.write_disposition
        if (disposition["disposition"] if isinstance(disposition, dict) else disposition) == "replace":
            return True
    return False
