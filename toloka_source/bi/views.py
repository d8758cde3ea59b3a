"""Views for BI tools, in a dataset of their own: plain columns where the tables have JSON.

They are made after a load, where they aren't what they should be already.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationException
from dlt.destinations.exceptions import DatabaseTerminalException, DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from toloka_source.bi.engines import ENGINES, Engine
from toloka_source.bi.load_log import creation, insertion, rows_of, rows_of_failure, takeover
from toloka_source.bi.trust import check_owners, own_names_only
from toloka_source.bi.view_sql import DATASET, RUNS_TABLE, View, dataset_of, quoted, views
from toloka_source.destinations.failures import is_outage
from toloka_source.destinations.secrets import hide
from toloka_source.errors import DestinationError, DestinationLockedError, one_line
from toloka_source.report import ResourceReport

log = logging.getLogger(__name__)


def publish(pipeline: dlt.Pipeline, reports: Sequence[ResourceReport], seconds: float, views_in: str = DATASET) -> None:
    """Note a load that succeeded, then make the views, unless they are up to date.

    The data was loaded. What rights, locks and others' tables keep it from here is a warning, a disk or a connection
    that fails is none. For destinations other than DuckDB, DuckLake and PostgreSQL there are no views.

    Args:
        pipeline: What was run.
        reports: What it loaded.
        seconds: How long that took.
        views_in: The dataset of the views.

    Raises:
        DestinationError: The destination's disk is full, or its connection broke.
    """
    if pipeline.destination.destination_type not in ENGINES:
        log.info("the views in %s are for DuckDB, DuckLake and PostgreSQL: there are none here", views_in)
        return
    with _warning("the views for BI tools weren't looked at"), _database(pipeline, views_in) as database:
        with _warning(f"this load has no row in {RUNS_TABLE}"):
            database.note(rows_of(pipeline, reports, seconds))
        with _warning(f"the views in {views_in} stay as they are"):
            database.refresh()


def publish_failure(pipeline: dlt.Pipeline, resources: Sequence[str], error: BaseException, seconds: float) -> None:
    """Note a load that failed, if the destination can be reached and has something from an earlier one.

    Args:
        pipeline: What was run.
        resources: What it was to load.
        error: Why it failed.
        seconds: How long that took.
    """
    is_ours = pipeline.destination.destination_type in ENGINES and isinstance(error, Exception)
    if not is_ours or isinstance(error, DestinationLockedError) or is_outage(error):
        return
    try:
        with _database(pipeline, DATASET) as database:
            database.note(rows_of_failure(pipeline, resources, error, seconds))
    except Exception as reason:  # noqa: BLE001 - what the user gets is why the load failed
        log.info("that the load failed has no row in %s: %s", RUNS_TABLE, hide(one_line(reason)))


def views_block_drops(pipeline: dlt.Pipeline) -> bool:
    """Tell whether this destination refuses to drop a table that a view reads."""
    engine = ENGINES.get(pipeline.destination.destination_type)
    return engine is not None and engine.views_block_drops


@contextmanager
def views_emptied(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Let tables be dropped that views read; until it is done the views, in any dataset, are there without rows."""
    if not views_block_drops(pipeline):
        yield
        return
    with _database(pipeline, DATASET) as database:
        places = database.datasets_of_views()
    for views_in in places:
        with _database(pipeline, views_in) as database:
            database.empty()
    try:
        yield
    finally:
        for views_in in places:
            consequence = f"the views in {views_in} are empty until the next load that makes views"
            with _warning(consequence), _database(pipeline, views_in) as database:
                database.refresh()


@contextmanager
def _warning(consequence: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            if not isinstance(error, DestinationException | DestinationError):
                raise
            log.warning("%s: %s", consequence, hide(one_line(error)))
        elif isinstance(error, DestinationError):
            raise  # said within
        else:
            remedy = "give it room, or look at its connection, then run again"
            raise DestinationError(f"loaded, but {consequence}; {remedy}: {hide(one_line(error))}") from error


@contextmanager
def _database(pipeline: dlt.Pipeline, views_in: str) -> Iterator["_Database"]:
    with pipeline.destination_client() as client:
        sql_client: SqlClientBase[Any] = client.sql_client  # type: ignore[attr-defined] # both engines' clients have one
        yield _Database(ENGINES[pipeline.destination.destination_type], sql_client, views_in)


class _Database:
    """A database with the tables in one dataset and the views in another."""

    def __init__(self, engine: Engine, client: SqlClientBase[Any], views_in: str) -> None:
        self._views_in = views_in
        self._engine = engine
        self._client = client
        self._dataset = client.capabilities.casefold_identifier(client.dataset_name)

    def note(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to the table of loads."""
        table = f"{quoted(self._dataset)}.{RUNS_TABLE}"
        insert, values = insertion(table, rows)
        try:
            with self._transaction():
                self._client.execute_sql(insert, *values)
        except (DatabaseUndefinedRelation, DatabaseTerminalException):
            with self._locked():
                for statement in takeover(table, self._columns(self._dataset).get(RUNS_TABLE, []), self._engine):
                    self._client.execute_sql(statement)
                self._client.execute_sql(creation(table, self._engine))
                self._client.execute_sql(insert, *values)

    def refresh(self) -> None:
        """Make the views, unless they are there, and of what is there.

        Raises:
            DestinationError: Somebody else has made what is there.
        """
        with self._transaction():
            check_owners(self._client, self._engine, self._views_in)
            if self._are_up_to_date():
                return
        with self._locked():
            if self._are_up_to_date():
                return  # another process was quicker
            check_owners(self._client, self._engine, self._views_in)
            others = {dataset_of(comment) for comment in self._comments().values()} - {self._dataset, None}
            for other in others:
                message = (
                    "the views in %s were of the dataset %s, and are now of %s: load one of the two with views=False"
                )
                log.warning(message, self._views_in, other, self._dataset)
            self._client.execute_sql(self._engine.create_dataset.format(views=self._views_in))
            self._make(self._views())

    def datasets_of_views(self) -> list[str]:
        """Return the datasets with views that read ours."""
        with self._transaction():
            found = self._rows(self._engine.all_comments)
        return sorted({dataset for dataset, comment in found if dataset_of(comment) == self._dataset})

    def empty(self) -> None:
        """Let the views read no table."""
        with self._transaction():
            self._make(self._views({}))

    def _make(self, wanted: Sequence[View]) -> None:
        there = self._columns(self._views_in)
        for view in wanted:
            # replacing it leaves the rights of others, and what they made of it, as they are
            columns = there.get(view.name, [])
            if columns != list(view.columns[: len(columns)]):
                self._client.execute_sql(f"DROP VIEW {self._views_in}.{view.name}")
            self._client.execute_sql("; ".join([view.create, *view.comments]))

    def _views(self, tables: Mapping[str, Sequence[str]] | None = None) -> list[View]:
        tables = self._columns(self._dataset) if tables is None else tables
        ours = [name for name, comment in self._comments().items() if dataset_of(comment) is not None]
        return list(views(self._engine, self._dataset, tables, self._views_in, ours))

    def _are_up_to_date(self) -> bool:
        there = self._comments()
        return all(there.get(view.name) == view.comment for view in self._views())

    def _comments(self) -> dict[str, str | None]:
        return dict(self._rows(self._engine.comments, self._views_in))

    def _columns(self, dataset: str) -> dict[str, list[str]]:
        """Return the columns of each table and view in a dataset."""
        found: dict[str, list[str]] = {}
        for table, column in self._rows(self._engine.columns, dataset):
            found.setdefault(table, []).append(column)
        return found

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._client.execute_sql(query, *values) or ()]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with own_names_only(self._client, self._engine):
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._transaction():
            if self._engine.lock:
                self._client.execute_sql(self._engine.lock.format(views=self._views_in))
            yield
