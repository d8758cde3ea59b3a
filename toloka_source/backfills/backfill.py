"""Many windows, loaded one beside the other."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from toloka_source._dlt import DUCKDB, POSTGRES
from toloka_source.backfills.engines import cluster, processes
from toloka_source.backfills.load_window import check_pipeline_name, known_destination, window_source
from toloka_source.backfills.workers import results
from toloka_source.bi.view_sql import check_views
from toloka_source.errors import BackfillError, ConfigurationError
from toloka_source.loading.beside_readers import check_timeout
from toloka_source.report import LoadReport
from toloka_source.settings import Resources
from toloka_source.source import toloka
from toloka_source.times import check_is_past
from toloka_source.unknown_settings import warn_of_unknown_settings
from toloka_source.window import Window

log = logging.getLogger(__name__)


def backfill(
    windows: Iterable[Window],
    destination: Any,  # noqa: ANN401 - the name of a dlt destination, or one
    dataset: str = "toloka_data",
    resources: Resources | None = None,
    *,
    workers: int = 4,
    scheduler: str | None = None,
    pipeline_name: str = toloka.name,
    views: bool | str = False,
    publish: bool = True,
    lock_timeout: float = 60.0,
    on_loaded: Callable[[Window, LoadReport], object] | None = None,
    **arguments: Any,  # noqa: ANN401 - the source's
) -> list[tuple[Window, LoadReport]]:
    """Load windows, many at once; see `load_window` for what a window is safe from.

    The windows are loaded one at a time until one has succeeded, so that what is wrong with all of them is found once.
    They are loaded by new processes, so a script that calls this needs `if __name__ == "__main__":`; or by the workers
    of a Dask cluster, which need this package, the token and the destination's credentials. DuckDB takes one process at
    a time: the windows are loaded one after the other there.

    Args:
        windows: What to load, as `split_windows` returns them.
        destination: The name of a dlt destination, or one that can be pickled.
        dataset: The dataset, or schema, of the tables.
        resources: As in `load_window`.
        workers: How many windows are loaded at once.
        scheduler: The address of a Dask cluster's scheduler, such as tcp://10.0.0.5:8786; needs the extra `dask`.
        pipeline_name: As in `load_window`.
        views: As in `load`.
        publish: As in `load`.
        lock_timeout: As in `load_window`.
        on_loaded: Called with each window that was loaded, as soon as it is, and what was loaded. What it raises ends
            the back-fill.
        **arguments: Those of `toloka`, without the dates; what isn't given is taken from the configuration.

    Returns:
        The windows in the order in which they were loaded, and what was loaded.

    Raises:
        ConfigurationError: An argument can't work.
        BackfillError: Windows weren't loaded; raised at the end, when all others are. It has what was loaded, too.
        TolokaError: The first window failed by what would make all windows fail, such as a wrong token.
    """
    todo = list(windows)
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigurationError("workers", workers, "must be 1 or more")
    kind = known_destination(destination).destination_type
    workers_own = {"token": "workers-own"} if scheduler is not None else {}
    if scheduler is not None:
        _check_sent(scheduler, destination, kind, arguments)
    for window in todo:
        window_source(window, resources, **workers_own, **arguments)  # whatever can't work is refused now
    if todo and todo[0].start is not None:
        check_is_past(todo[0].start, todo[0].start)
    if workers > 1 and (one_at_a_time := _one_at_a_time(kind, scheduler)):
        log.warning("%s: the windows are loaded one after the other", one_at_a_time)
        workers = 1
    check_views(views, dataset)
    check_pipeline_name(pipeline_name)
    check_timeout(lock_timeout)
    how = {"views": views, "publish": publish, "lock_timeout": lock_timeout, "pipeline_name": pipeline_name}
    warn_of_unknown_settings(pipeline_name)
    loaded = []
    job = (destination, dataset, resources, {**how, **arguments})
    with processes() if scheduler is None else cluster(scheduler) as submit:
        try:
            for window, report in results(todo, submit, workers, job):
                loaded.append((window, report))
                if on_loaded:
                    on_loaded(window, report)
        except BackfillError as error:
            error.loaded = tuple(loaded)
            raise
    return loaded


def _check_sent(scheduler: str, destination: object, kind: str, arguments: Mapping[str, object]) -> None:
    """Check that no secret is to be sent to a cluster, and that its workers can all reach the destination."""
    if kind == DUCKDB:
        raise ConfigurationError("scheduler", scheduler, "DuckDB is a file on one machine: load without a cluster")
    if "token" in arguments:
        raise ConfigurationError("token", "***", "isn't sent to a cluster: each worker takes it from its configuration")
    if not isinstance(destination, str):
        remedy = "name it: each worker of a cluster takes its credentials from its configuration"
        raise ConfigurationError("destination", "***", remedy)


def _one_at_a_time(kind: str, scheduler: str | None) -> str | None:
    """Return why windows have to be loaded one after the other; None where they needn't be."""
    if kind == DUCKDB:
        return "DuckDB takes one process at a time"
    if scheduler is not None and kind != POSTGRES:
        return "of what many machines merge into this destination at once, rows are lost"
    return None
