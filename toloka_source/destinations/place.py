"""The place that a pipeline loads into."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable

from toloka_source._dlt import DUCKDB
from toloka_source._dlt_duckdb import duckdb_path, opening
from toloka_source.destinations.duckdb_file import wait_for_writers
from toloka_source.errors import ConfigurationError


@dataclass(frozen=True)
class Place:
    """A dataset at a destination.

    Attributes:
        digest: Tells it from all other places; holds no secret.
        caps: What the destination can do.
        has_tables: Whether it can be asked for tables; a function can't.
    """

    digest: str
    caps: DestinationCapabilitiesContext
    has_tables: bool

    @property
    def dialect(self) -> str | None:
        """The name of its SQL, as sqlglot has it."""
        return self.caps.sqlglot_dialect

    @property
    def keeps_nul(self) -> bool:
        """Whether a text may hold NUL characters; PostgreSQL and what comes of it take none, not even in JSON."""
        return self.dialect not in ("postgres", "redshift")

    @property
    def is_jsonb(self) -> bool:
        """Whether JSON is PostgreSQL's, which doesn't take all that is JSON."""
        return self.dialect == "postgres"


def place_of(pipeline: dlt.Pipeline) -> Place:
    """Return the place that a pipeline loads into; nothing is connected to."""
    client = pipeline.destination_client()
    try:
        location = client.config.data_location()
    except ConfigurationValueError:
        location = None
    # two databases of one server, or two folders of one bucket, can be one location to dlt
    database = getattr(client.config.credentials, "database", None)
    parts = (
        client.config.destination_type,
        location,
        database,
        getattr(client.config, "bucket_url", None),
        pipeline.dataset_name,
    )
    return Place(sha256(repr(parts).encode()).hexdigest(), client.capabilities, hasattr(client, "get_storage_tables"))


def check_names(pipeline: dlt.Pipeline, others: Iterable[str]) -> None:
    """Find a dataset with the name of DuckDB's file, which DuckDB can't tell from it; nothing is connected to.

    Args:
        pipeline: What loads.
        others: The datasets beside its own that it writes to.

    Raises:
        ConfigurationError: There is one.
    """
    if pipeline.destination.destination_type != DUCKDB:
        return
    client: Any = pipeline.destination_client()
    file = Path(str(client.config.credentials.database))
    name = file.name.removeprefix(".").partition(".")[0].casefold()
    remedy = f"DuckDB can't tell it from its file {file.name}, which has this name too; name one of the two otherwise"
    if client.sql_client.dataset_name.casefold() == name:
        raise ConfigurationError("dataset", pipeline.dataset_name, remedy)
    for other in others:
        if other.casefold() == name:
            raise ConfigurationError("views", other, remedy)


def tables_at(pipeline: dlt.Pipeline, names: Iterable[str]) -> set[str]:
    """Return which of these tables the destination has; all of them if it can't be asked."""
    with pipeline.destination_client() as client:
        if not hasattr(client, "get_storage_tables"):
            return set(names)
        return {name for name, columns in client.get_storage_tables(names) if columns}


@contextmanager
def only_read(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Let the pipeline read its destination in here; a DuckDB file is opened so that other readers can open it too.

    Raises:
        DestinationLockedError: Another process writes into the file.
    """
    path = duckdb_path(pipeline)
    if path is None or not path.exists() or wait_for_writers(path, 0):
        yield
        return
    given = pipeline.destination
    pipeline.destination = opening(pipeline, read_only=True)
    try:
        yield
    finally:
        pipeline.destination = given


def current_place() -> Place | None:
    """Return the place that the running pipeline loads into; None where a resource is read without one."""
    try:
        dlt.current.load_package_state()
    except CurrentLoadPackageStateNotAvailable:
        return None
    pipeline = dlt.current.pipeline()
    return place_of(pipeline) if pipeline.destination else None
