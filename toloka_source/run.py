"""One run of one resource: cursor -> window -> scan -> tables.

A regular run covers what happened since the cursor. The cursor then becomes the moment at which the run's first page
was asked for, not the greatest time seen: what happens while the pages are read belongs to the next run.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from time import monotonic
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.configuration.container import Container
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.typing import C_DLT_LOAD_ID, TColumnSchema, TTableSchema
from dlt.common.storages.load_package import LoadPackageStateInjectableContext
from dlt.sources import incremental

from toloka_source import schemas
from toloka_source.arrow import Rejected, rejected_table, to_table
from toloka_source.client import Client, Item, Page
from toloka_source.endpoints import Endpoint
from toloka_source.errors import RejectedItemsError
from toloka_source.overlap import Overlap
from toloka_source.scan import Window, scan
from toloka_source.settings import Settings

log = logging.getLogger(__name__)

LAG = timedelta(seconds=60)
"""How far a window reaches back before the cursor, for objects that become visible late."""

TABLE_ROWS = 5_000
"""Pages are put together to tables of about so many rows: a table costs dlt the same, whatever its size."""

REJECTED_ITEMS = "rejected_items"
"""The table of objects that don't fit their schema."""

RUN_METRICS = "run"
"""Where a resource's metrics in dlt's trace hold what its run did."""

_OVERLAP = "overlap"
"""Where a resource's state holds the digests of the rows that the next run sees again."""

_FULL_SCAN = "full_scan_at"
"""Where a resource's state holds the time of its last whole scan."""


def column_hints(field: pa.Field) -> TColumnSchema:
    """Return dlt's hints for a column."""
    hints: TColumnSchema = {"name": field.name, "description": schemas.description(field)}
    if schemas.is_json(field):
        hints["data_type"] = "json"
    return hints


class Run:
    """One run of one resource."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        cursor: incremental[datetime],
        client: Client,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            endpoint: What to load.
            settings: The source's.
            cursor: dlt's cursor, bound to the resource.
            client: Reads the pages.
        """
        self._endpoint = endpoint
        self._filters = settings.filters.get(endpoint.name, {})
        self._settings = settings
        self._cursor = cursor
        self._client = client
        # dlt writes the state as soon as somebody asks for it
        self._state = dlt.current.resource_state() if settings.end is None else {}
        self._normalize = dlt.current.source_schema().naming.normalize_path
        self._unknown: set[str] = set()

    def tables(self) -> Iterator[Any]:
        """Yield the run's rows as tables, then the objects that don't fit; move the cursor before the first."""
        started = monotonic()
        metrics = dlt.current.resource_metrics()
        name = self._endpoint.name
        _warn_unless_merged(name)
        window, as_of, pages = self._open()
        is_increment = not window.whole and self._settings.end is None
        known = self._state.get(_OVERLAP, {}) if is_increment else {}
        overlap = Overlap(self._endpoint.cursors, as_of - LAG, known)
        rejected: list[Rejected] = []
        for items in _batches(pages):
            table, misfits = to_table(items, self._endpoint.schema, self._normalize)
            table = overlap.new_rows(table)
            rejected += misfits
            if misfits and self._settings.strict:
                raise RejectedItemsError(f"{name}: id {misfits[0].id}, {misfits[0].field}: {misfits[0].reason}")
            # an empty account gets its tables too, and the first window of a back-fill makes them for those beside it
            if table.num_rows or misfits or not is_increment:
                # dlt keeps what is set here only if the whole run succeeds, and then passes the rows unfiltered
                self._cursor.advance(as_of)
                if window.whole:
                    self._state[_FULL_SCAN] = as_of
                if self._settings.end is None:
                    self._state[_OVERLAP] = overlap.noted
                yield self._with_hints(_with_load_id(table))
                # else the memory of tables that were written stays with the threads that made them: 40 MB and more
                pa.default_memory_pool().release_unused()
        if rejected:
            log.warning("%s: %d objects don't fit, see table %s", name, len(rejected), REJECTED_ITEMS)
            table = _with_load_id(rejected_table(rejected, name, datetime.now(UTC)))
            yield dlt.mark.with_table_name(table, REJECTED_ITEMS)
        metrics[RUN_METRICS] = {
            "window_start": window.start,
            "window_end": as_of,
            "is_backfill": self._settings.end is not None,
            "requests": self._client.requests,
            "retries": self._client.retries,
            "rejected": len(rejected),
            "seconds": monotonic() - started,
        }

    def _open(self) -> tuple[Window, datetime, Iterator[Page]]:
        """Return the window of this run, the moment up to which it is complete, and its pages."""
        if self._settings.end is not None:
            window = Window(self._settings.start, self._settings.end)
            return window, self._settings.end, self._scan(window)
        # without a whole scan before, there is nothing to go on from
        if _FULL_SCAN in self._state and self._settings.rescan_after != timedelta():
            window = Window(self._cursor.start_value)
            as_of, pages = self._begin(window)
            if not self._rescan_is_due(as_of):
                return window, as_of, pages
        window = Window(self._settings.start or self._cursor.get_state()["initial_value"], whole=True)
        return window, *self._begin(window)

    def _scan(self, window: Window) -> Iterator[Page]:
        return scan(self._client, self._endpoint, window, self._filters, self._settings.workers)

    def _begin(self, window: Window) -> tuple[datetime, Iterator[Page]]:
        """Read the first page; what changes from then on belongs to the next run."""
        pages = self._scan(window)
        first = next(pages)
        return first.as_of, chain([first], pages)

    def _rescan_is_due(self, as_of: datetime) -> bool:
        cursor = self._cursor.get_state()["last_value"] or as_of
        if as_of < cursor - LAG:
            message = "%s: the cursor, %s, is in the future; some clock was wrong, and everything is read again"
            log.warning(message, self._endpoint.name, cursor)
            return True
        after = self._settings.rescan_after
        return after is not None and not -LAG <= as_of - self._state[_FULL_SCAN] < after

    def _with_hints(self, table: pa.Table) -> Any:  # noqa: ANN401 - a table, or dlt's wrapping of one
        known = {*self._endpoint.schema.names, C_DLT_LOAD_ID}
        unknown = [field for field in table.schema if field.name not in known]
        if not unknown:
            return table
        new = {field.name for field in unknown} - self._unknown
        if new:
            self._unknown |= new
            log.warning("%s: fields that are not documented: %s", self._endpoint.name, ", ".join(sorted(new)))
        return dlt.mark.with_hints(table, dlt.mark.make_hints(columns=[column_hints(field) for field in unknown]))


def _batches(pages: Iterable[Page]) -> Iterator[list[Item]]:
    """Put the objects of pages together to some thousands; one batch at least, even if it is empty."""
    items: list[Item] = []
    for page in pages:
        if len(items) >= TABLE_ROWS:
            yield items
            items = []
        items += page.items
    yield items


def _with_load_id(table: pa.Table) -> pa.Table:
    """Add the id of the package that brings the rows, as dlt does for rows that aren't Arrow's."""
    if LoadPackageStateInjectableContext not in Container():
        return table  # read without a pipeline
    load_id = Container()[LoadPackageStateInjectableContext].load_id
    # rows that an older version loaded have none
    return table.append_column(pa.field(C_DLT_LOAD_ID, schemas.TEXT), pa.repeat(load_id, table.num_rows))


def destination_keeps_nul() -> bool:
    """Tell whether a text may hold NUL characters; PostgreSQL and what comes of it take none, not even in JSON."""
    if DestinationCapabilitiesContext not in Container():
        return True  # read without a pipeline
    return Container()[DestinationCapabilitiesContext].sqlglot_dialect not in ("postgres", "redshift")


def _warn_unless_merged(name: str) -> None:
    if DestinationCapabilitiesContext not in Container():
        return
    # what dlt's schema has of the table outlives the setting
    table: TTableSchema = {
        **dlt.current.source_schema().tables.get(name, {}),
        **dlt.current.resource().compute_table_schema(),
        "name": name,
    }
    if table["write_disposition"] == "merge" and resolve_merge_strategy({name: table}, table) is None:
        log.warning(
            "%s: this destination adds rows and replaces none, an id has one from each load that brought it; "
            "the destination filesystem merges with table_format = 'delta'",
            name,
        )
