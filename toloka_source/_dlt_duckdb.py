"""Every use of what dlt doesn't document of its DuckDB client, see `_dlt.py`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination import AnyDestination
from dlt.common.pipeline import LoadInfo
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset

from toloka_source._dlt import DUCKDB, DUCKLAKE, copied


def duckdb_credentials(pipeline: dlt.Pipeline, settings: Mapping[str, object]) -> Any:  # noqa: ANN401 - dlt's class
    """Return a copy of the credentials of a pipeline into DuckDB, with settings of DuckDB where the user has none.

    A connection that the user opened keeps its own.
    """
    credentials: Any = pipeline.destination_client().config.credentials
    if credentials.external_conn() is None:
        credentials = credentials.copy()  # what was given as an object is that very object
        credentials.on_resolved()  # has a pool of its own
        credentials.global_config = {**settings, **(credentials.global_config or {})}
    return credentials


def duckdb_path(pipeline: dlt.Pipeline) -> Path | None:
    """Return the file that a pipeline opens and writes by itself.

    There is none in memory, at MotherDuck, where the user opened it, or has statements of their own that dlt runs
    whenever it opens it.
    """
    if pipeline.destination.destination_type != DUCKDB:
        return None
    credentials = duckdb_credentials(pipeline, {})
    if credentials.external_conn() is not None or credentials.read_only or credentials.statements:
        return None
    path = Path(credentials.database)
    return path if path.is_absolute() else None


def sqlite_catalog(pipeline: dlt.Pipeline) -> Path | None:
    """Return the file of SQLite that is the catalog of a DuckLake: it takes one writer at a time, of any dataset."""
    if pipeline.destination.destination_type != DUCKLAKE:
        return None
    credentials: Any = pipeline.destination_client().config.credentials
    return Path(credentials.catalog.database) if credentials.catalog.drivername == "sqlite" else None


def opening(pipeline: dlt.Pipeline, *, file: Path | None = None, read_only: bool = False) -> AnyDestination:
    """Return the destination of a pipeline into DuckDB, except that it opens another file, or opens it only to read.

    Whatever asks for its name (dlt's reports, the digest of the place) is told the one of the given destination.
    """
    credentials = duckdb_credentials(pipeline, {})
    credentials.read_only = read_only
    if file is not None:
        name = str(file)

        class Elsewhere(type(credentials)):  # type: ignore[misc] # the class of whoever made the destination
            def _conn_str(self) -> str:
                return name

        credentials._conn_str  # noqa: B018, SLF001 - must be there to be replaced
        credentials.__class__ = Elsewhere
    given = pipeline.destination
    return copied(given, {"credentials": credentials})


@contextmanager
def around_load(pipeline: dlt.Pipeline, context: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Let each load step of the pipeline's take place in a context.

    dlt's `run` has all three steps in one call, and one trace, and offers nothing between them.
    """
    load = pipeline.load

    def load_inside(*arguments: Any, **more: Any) -> LoadInfo:  # noqa: ANN401 - whatever dlt gives
        with context():
            return load(*arguments, **more)

    pipeline.load = load_inside  # type: ignore[method-assign]
    try:
        yield
    finally:
        del pipeline.load  # the method is there again


def loaded_packages(pipeline: dlt.Pipeline) -> set[str]:
    """Return the packages that the destination has, by dlt's own table of them."""
    with pipeline.destination_client() as client:
        if not isinstance(client, SqlJobClientWithStagingDataset):
            return set()
        table = client.sql_client.make_qualified_table_name(client.schema.loads_table_name)
        try:
            rows = client.sql_client.execute_sql(f"SELECT load_id FROM {table} WHERE status = 0")  # noqa: S608
        except DatabaseUndefinedRelation:
            return set()
    return {str(load_id) for (load_id,) in rows or ()}
