"""The load of one window, beside loads of any number of other windows.

dlt keeps three things between two loads: a working folder, a staging dataset and the state. Two loads that share them
lose rows, so the load of a window has a folder and a staging dataset of its own, and neither reads nor stores a state.
It bears the name of the regular pipeline, by which dlt finds the configuration, and names DuckDB's file.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import dlt
from dlt.common.destination import Destination
from dlt.common.destination.exceptions import DestinationException
from dlt.common.pipeline import LoadInfo, get_dlt_pipelines_dir
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.helpers import retry_load, retry_schema_update
from dlt.pipeline.progress import TCollectorArg
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from toloka_source._dlt import POSTGRES, PostgresLocked, copied, drop_staging, forget_tables
from toloka_source.backfills.windows import window_name
from toloka_source.bi.view_sql import check_views
from toloka_source.bi.views import publish as publish_views
from toloka_source.destinations.failures import translated
from toloka_source.destinations.place import check_names
from toloka_source.destinations.secrets import check_credentials, without_secrets
from toloka_source.errors import ConfigurationError, DestinationLockedError
from toloka_source.loading.beside_readers import BesideReaders
from toloka_source.loading.failures_noted import failures_noted
from toloka_source.loading.lock import locked
from toloka_source.loading.reports import resource_reports
from toloka_source.report import LoadReport, ResourceReport
from toloka_source.settings import Resources
from toloka_source.source import toloka
from toloka_source.tables.forbidden import others_loaded
from toloka_source.tables.log_filters import quiet_package_warnings
from toloka_source.unknown_settings import warn_of_unknown_settings
from toloka_source.window import Window

log = logging.getLogger(__name__)


_PIPELINE = "toloka"
"""The regular pipeline's name unless another one is given."""

_SCHEMA = "toloka_backfill"
"""The windows' name in dlt's own tables, where the regular pipeline doesn't look."""


def load_window(
    window: Window,
    destination: Any,  # noqa: ANN401 - the name of a dlt destination, or one
    dataset: str = "toloka_data",
    resources: Resources | None = None,
    *,
    progress: TCollectorArg | None = None,
    pipeline_name: str = _PIPELINE,
    views: bool | str = False,
    publish: bool = True,
    lock_timeout: float = 60.0,
    **arguments: Any,  # noqa: ANN401 - the source's
) -> LoadReport:
    """Load one window in this process, while others may load other windows into the same dataset.

    The regular pipeline's state and cursor stay as they are. To load a window again does no harm, however its last
    load ended. Loads into one DuckDB file wait for each other.

    Args:
        window: What to load; it needs an end.
        destination: The name of a dlt destination, or one.
        dataset: The dataset, or schema, of the tables.
        resources: Which to load, as in `toloka`; lists that have no times to select by are left out.
        progress: As in `dlt.pipeline`.
        pipeline_name: The regular pipeline's name, by which dlt looks up the configuration and names DuckDB's file.
        views: As in `load`.
        publish: As in `load`.
        lock_timeout: As in `load`, for what is no load of this package.
        **arguments: Those of `toloka`, without the dates; what isn't given is taken from the configuration.

    Raises:
        ConfigurationError: An argument can't work.
        BusyError: Another process on this machine loads this window.
        TolokaError: What went wrong on the way from the API; nothing was loaded.
        DestinationLockedError: Something that is no load of this package holds the destination's file.
        DestinationError: The destination refused the data, or can't be reached or written to.
        FileError: A file on this machine can't be written.
        PipelineStepFailed: Any other failure of dlt's.
    """
    started = monotonic()
    source = window_source(window, resources, **arguments)
    views_in = check_views(views, dataset)
    check_pipeline_name(pipeline_name)
    warn_of_unknown_settings(pipeline_name)
    with _own_folder(pipeline_name, dataset, window) as folder:
        pipeline = dlt.pipeline(
            pipeline_name,
            pipelines_dir=str(folder),
            destination=_own_destination(destination, pipeline_name, window),
            dataset_name=dataset,
            progress=progress,  # type: ignore[arg-type] # None is dlt's own default
        )
        pipeline.config.restore_from_destination = False
        try:
            check_credentials(pipeline)
            check_names(pipeline, [views_in] if views else [])
            beside = BesideReaders(pipeline, publish=publish, lock_timeout=lock_timeout, turn_timeout=None)
            names = list(source.selected_resources)
            with beside.opened(), failures_noted(pipeline, names, started, beside) if views else nullcontext():
                with others_loaded(names):
                    reports, info = _run(pipeline, source, beside)
                if views:
                    with beside.writing():
                        publish_views(pipeline, reports, monotonic() - started, views_in)
        except (PipelineStepFailed, DestinationException, OSError) as error:
            cause = translated(without_secrets(error))
            raise cause from cause.__cause__
    return LoadReport(tuple(reports), monotonic() - started, (info,))


def window_source(window: Window, resources: Resources | None = None, **arguments: Any) -> DltSource:  # noqa: ANN401
    """Return the source of one window.

    Raises:
        ConfigurationError: An argument can't work.
    """
    if not isinstance(window, Window):
        raise ConfigurationError("window", window, "must be a Window, as split_windows returns them")
    if window.end is None:
        raise ConfigurationError("window", window, "needs an end")
    for name in {"start_date", "end_date"} & arguments.keys():
        raise ConfigurationError(name, arguments[name], "is the window's own; leave it out")
    if resources is not None:
        arguments["resources"] = resources
    return toloka.clone(name=_SCHEMA, section=_PIPELINE)(start_date=window.start, end_date=window.end, **arguments)


@contextmanager
def _own_folder(name: str, dataset: str, window: Window) -> Iterator[Path]:
    """Keep a folder for this window: empty at first, gone at the end."""
    range_ = window_name(window)
    # a dataset can bear a name that leads out of the folder
    digest = sha256(dataset.encode()).hexdigest()[:12]
    folder = Path(get_dlt_pipelines_dir(), f"{name}_{digest}_{range_}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder, f"another process loads the window {range_} into {dataset!r}"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)  # its packages hold what only the requester sees
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_pipeline_name(name: str) -> None:
    """Check that a name can be that of a folder and of a file.

    Raises:
        ConfigurationError: It can't.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,49}", name):
        raise ConfigurationError("pipeline", name, "must be letters, digits, _ and -, at most 50, a letter first")


def known_destination(reference: Any) -> Destination[Any, Any]:  # noqa: ANN401 - a name, or a destination
    """Return the destination, not connected yet.

    Raises:
        ConfigurationError: There is none.
        UnknownDestinationModule: dlt knows none of this name.
    """
    destination: Destination[Any, Any] | None = Destination.from_reference(reference)
    if destination is None:
        raise ConfigurationError("destination", reference, "name a dlt destination, such as duckdb")
    return destination


def _own_destination(destination: Any, name: str, window: Window) -> Destination[Any, Any]:  # noqa: ANN401
    """Return the destination with a staging dataset of the window's own, and merges in turn where dlt's collide."""
    given = known_destination(destination)
    own: Destination[Any, Any] = copied(given, {}, PostgresLocked if given.destination_type == POSTGRES else None)
    layout = "staging_dataset_name_layout"
    if layout in own.spec.get_resolvable_fields():
        configured = own.config_params.get(layout) or dlt.config.get(f"destination.{own.destination_name}.{layout}")
        others = "" if name == _PIPELINE else f"_{name}"  # two pipelines may load the same window at once
        own.config_params[layout] = f"{configured or '%s_staging'}{others}_{window_name(window)}"
    return own


def _run(pipeline: dlt.Pipeline, source: DltSource, beside: BesideReaders) -> tuple[list[ResourceReport], LoadInfo]:
    if not beside.is_copying:
        with beside.writing():
            _clean_up(pipeline)  # what a killed load of this window left; and better now than after the API was read
    pipeline.extract(source)
    with quiet_package_warnings():
        pipeline.normalize()
        with beside.writing():
            try:
                info = _load(pipeline)
            finally:
                _clean_up(pipeline)
    return [*resource_reports(pipeline, source)], info


def _is_transient(error: BaseException) -> bool:
    """Tell whether to try again: windows that meet may have wanted the same table or column."""
    if isinstance(error, DestinationException | PipelineStepFailed):
        return not isinstance(translated(error), DestinationLockedError) and any(
            may_pass(error) for may_pass in (retry_schema_update(), retry_load(("load",)))
        )
    return False


_retry_transient = retry(
    retry=retry_if_exception(_is_transient),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.2, max=4),
    reraise=True,
)


@_retry_transient
def _load(pipeline: dlt.Pipeline) -> LoadInfo:
    """Load what is ready; another try goes on with what is left, and asks anew which tables and columns there are."""
    return pipeline.load()


@_retry_transient
def _clean_up(pipeline: dlt.Pipeline) -> None:
    """Remove what only this window uses: its staging dataset, and what dlt notes of the tables that it has seen."""
    forget_tables(pipeline, _SCHEMA)
    drop_staging(pipeline)
