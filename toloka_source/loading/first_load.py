"""The first load into DuckDB, which is by far the largest: its rows go straight into their tables, file after file.

Merged like all others they would be written twice, and held in memory all at once: 1.3 GB for 200,000 objects, where
this takes a third. Nothing of it is left when it ends: neither the user's source nor the destination is another one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dlt
from dlt.extract import DltSource

from toloka_source._dlt import DUCKDB, copied
from toloka_source._dlt_duckdb import duckdb_credentials
from toloka_source.destinations.place import tables_at

_SMALL_FILES: Mapping[str, object] = {"recommended_file_size": 2_500_000, "loader_parallelism_strategy": "sequential"}
"""In bytes of Parquet: DuckDB holds the rows of one file, and writes them to disk after each."""

_SETTINGS: Mapping[str, object] = {"max_vacuum_tasks": 0, "threads": 1}
"""DuckDB would put the rows of small files together again; a second thread takes memory, and saves no time."""


def is_first_load(pipeline: dlt.Pipeline, source: DltSource) -> bool:
    """Tell whether there is nothing that the source's rows could be merged with.

    Only where the write disposition is the source's own.
    """
    if pipeline.destination.destination_type != DUCKDB or source.schema.name in pipeline.schemas:
        return False
    resources = source.selected_resources.values()
    if any(one.write_disposition != "merge" or one.has_dynamic_table_name for one in resources):
        return False
    return not _has_tables(pipeline, source)


def _has_tables(pipeline: dlt.Pipeline, source: DltSource) -> bool:
    names = [
        pipeline.naming.normalize_table_identifier(str(one.table_name)) for one in source.selected_resources.values()
    ]
    return bool(tables_at(pipeline, names))


class TablesAppearedError(Exception):
    """Another load has made the tables since the first load began: to append would double its rows."""


def assert_first(pipeline: dlt.Pipeline, source: DltSource) -> None:
    """Look once more, when nobody else can load into the tables any more.

    Raises:
        TablesAppearedError: There are some.
    """
    if _has_tables(pipeline, source):
        raise TablesAppearedError


def appending(source: DltSource) -> DltSource:
    """Return a copy of the source that appends.

    A load of it that is killed and gone on with may bring a file twice: what is pending has to be dropped instead.
    """
    copy = source.with_resources(*source.selected_resources)
    for resource in copy.selected_resources.values():
        resource.apply_hints(write_disposition="append")
    return copy


@contextmanager
def file_by_file(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Have the pipeline load file after file into DuckDB, by a copy of its destination."""
    given = pipeline.destination
    settings = {**_SMALL_FILES, **given.caps_params, "credentials": duckdb_credentials(pipeline, _SETTINGS)}
    pipeline.destination = copied(given, settings)
    try:
        yield
    finally:
        pipeline.destination = given
