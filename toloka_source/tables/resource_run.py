"""One run of one resource: cursor -> window -> scan -> tables.

A regular run covers what happened since the cursor. The cursor then becomes the moment at which the run's first page
was asked for, not the greatest time seen: what happens while the pages are read belongs to the next run. It moves when
the last row was taken: a run that ends early has promised nothing.
"""

import logging
from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from time import monotonic
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import C_DLT_ID, C_DLT_LOAD_ID
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.sources import incremental

from toloka_source import _dlt
from toloka_source.api.client import Client, Item, Page
from toloka_source.catalog import schemas
from toloka_source.catalog.endpoints import Endpoint
from toloka_source.destinations.place import Place
from toloka_source.errors import RejectedItemsError
from toloka_source.scan.pages import scan
from toloka_source.settings import EPOCH, Settings
from toloka_source.tables.arrow import Rejected, digests, rejected_table, to_table
from toloka_source.tables.background import run_ahead
from toloka_source.tables.hints import REJECTED_ITEMS, RunHints
from toloka_source.tables.log_filters import silence_json_warning
from toloka_source.tables.overlap import Overlap
from toloka_source.window import Window

log = logging.getLogger(__name__)

LAG = timedelta(seconds=60)
"""How far a window reaches back before the cursor, for objects that become visible late."""

TABLE_ROWS = 5_000
"""Pages are put together to tables of about so many rows: a table costs dlt the same, whatever its size."""

RUN_METRICS = "run"
"""Where a resource's metrics in dlt's trace hold what its run did."""

_TABLES_AHEAD = 1
_MILLISECOND = timedelta(milliseconds=1)

_OVERLAP = "overlap"
"""Where a resource's state holds the digests of the rows that the next run sees again."""

_FULL_SCAN = "full_scan_at"
"""Where a resource's state holds the time of its last whole scan."""

_SCOPE = "scope"
"""Where a resource's state holds a digest of what its last whole scan was of: the place, the filters and the start."""

_START = "start_date"
"""Where a resource's state holds the start date that is in force."""


def window_cursor(endpoint: Endpoint, start: datetime | None, end: datetime | None) -> incremental[datetime]:
    """Return the cursor of a resource: what dlt keeps of it in the state, in the terms of the API's own filters."""
    return incremental[datetime](
        endpoint.cursors[-1],
        initial_value=start,
        end_value=end,
        lag=LAG.total_seconds(),
        range_start="open",
        range_end="closed",
        allow_external_schedulers=False,
    )


def _has_our_terms(cursor: incremental[datetime], endpoint: Endpoint) -> bool:
    """Tell whether the cursor is `window_cursor`'s; one that the user has set goes by dlt's rules, row by row."""
    terms = (cursor.cursor_path, cursor.lag, cursor.range_start, cursor.range_end)
    return terms == (endpoint.cursors[-1], LAG.total_seconds(), "open", "closed")


class Run:
    """One run of one resource."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        cursor: incremental[datetime],
        client: Client,
        hints: RunHints,
        place: Place | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            endpoint: What to load.
            settings: The source's.
            cursor: dlt's cursor, bound to the resource.
            client: Reads the pages.
            hints: The resource's.
            place: What is loaded into, if anything is.
        """
        self._endpoint = endpoint
        self._filters = settings.filters.get(endpoint.name, {})
        self._settings = settings
        self._cursor = cursor
        self._client = client
        self._hints = hints
        self._place = place
        self._is_pushed_down = _has_our_terms(cursor, endpoint)
        self._is_backfill = cursor.end_value is not None
        self._keeps_state = self._is_pushed_down and not self._is_backfill
        # dlt writes the state as soon as somebody asks for it
        self._state: dict[str, Any] = dlt.current.resource_state() if self._keeps_state else {}
        cursor_state = cursor.get_state()
        self._last_value: datetime | None = cursor_state["last_value"]
        self._start: datetime | None = settings.start or self._state.get(_START, cursor_state["initial_value"])
        scope = (place and place.digest, sorted(self._filters.items()), self._start)
        self._scope = sha256(repr(scope).encode()).hexdigest()
        self._normalize = dlt.current.source_schema().naming.normalize_path
        self._has_version = False
        self._window = Window()
        self._as_of = EPOCH  # until the first page was read

    def tables(self) -> Iterator[Any]:
        """Yield the rows as tables (None: not yet), then the objects that don't fit; then move the cursor."""
        started = monotonic()
        resource = dlt.current.resource()
        # what isn't complete has no end: nothing is promised of it
        metrics: dict[str, Any] = {"is_backfill": self._is_backfill, "window_end": None, "rejected": 0}
        dlt.current.resource_metrics()[RUN_METRICS] = metrics
        try:
            silence_json_warning(resource.name)
            self._has_version = self._hints.fit(resource, self._place)
            yield from self._tables(metrics)
            metrics["window_end"] = self._as_of
        finally:
            metrics |= {
                "window_start": self._window.start,
                "requests": self._client.requests,
                "retries": self._client.retries,
                "seconds": monotonic() - started,
            }

    def _tables(self, metrics: dict[str, Any]) -> Iterator[Any]:
        name = self._endpoint.name
        if self._is_pushed_down:
            self._cursor.advance(None)  # type: ignore[arg-type] # documented: only to pass all rows
        rejected: list[Rejected] = []
        overlap: Overlap | None = None
        has_rows = False
        for built in run_ahead(self._read(), _TABLES_AHEAD, self._client.close):
            if built is None:
                yield None
                continue
            table, misfits = built
            overlap = overlap or self._overlap()
            table = overlap.new_rows(table)
            rejected += misfits
            metrics["rejected"] = len(rejected)
            if misfits and self._settings.strict:
                raise RejectedItemsError(f"{name}: id {misfits[0].id}, {misfits[0].field}: {misfits[0].reason}")
            # an empty account gets its tables too, and the first window of a back-fill makes them for those beside it
            if table.num_rows or misfits or not self._is_increment:
                has_rows = True
                yield self._hints.with_unknown_columns(_with_load_id(self._with_version(table)), name)
                # else the memory of tables that were written stays with the threads that made them: 40 MB and more
                pa.default_memory_pool().release_unused()
        if rejected:
            log.warning("%s: %d objects don't fit, see table %s", name, len(rejected), REJECTED_ITEMS)
            table = rejected_table(rejected, name, datetime.now(UTC))
            yield _dlt.past_all_steps(_with_load_id(table), REJECTED_ITEMS)
        if has_rows and self._keeps_state and overlap:
            self._cursor.advance(self._as_of)
            self._state[_OVERLAP] = overlap.noted
            if self._window.whole:
                self._state |= {_FULL_SCAN: self._as_of, _SCOPE: self._scope, _START: self._start}

    def _read(self) -> Generator[tuple[pa.Table, list[Rejected]]]:
        """Read the window and build its tables; this runs in a thread of its own."""
        self._window, self._as_of, pages = self._open()
        for items in _batches(pages):
            yield to_table(items, self._endpoint.schema, self._normalize)

    @property
    def _is_increment(self) -> bool:
        return not self._window.whole and not self._is_backfill

    def _overlap(self) -> Overlap:
        known = self._state.get(_OVERLAP, {}) if self._is_increment else {}
        return Overlap(self._endpoint.cursors, self._as_of - LAG, known)

    def _open(self) -> tuple[Window, datetime, Iterator[Page]]:
        """Return the window of this run, the moment up to which it is complete, and its pages."""
        if not self._is_pushed_down:
            # dlt drops what is just outside of its range; the API's is open at the start, and of whole milliseconds
            start, end = self._cursor.start_value, self._cursor.end_value
            window = Window(start and start - _MILLISECOND, end and end + _MILLISECOND)
            return window, *self._begin(window)
        if self._cursor.end_value is not None:
            window = Window(self._settings.start, self._cursor.end_value)
            return window, self._cursor.end_value, self._scan(window)
        # without a whole scan before, there is nothing to go on from
        if _FULL_SCAN in self._state and self._settings.rescan_after != timedelta() and self._is_same_scope():
            window = Window(self._cursor.start_value)
            as_of, pages = self._begin(window)
            if not self._rescan_is_due(as_of):
                return window, as_of, pages
        window = Window(self._start, whole=True)
        return window, *self._begin(window)

    def _scan(self, window: Window) -> Iterator[Page]:
        return scan(self._client, self._endpoint, window, self._filters, self._settings.workers)

    def _begin(self, window: Window) -> tuple[datetime, Iterator[Page]]:
        """Read the first page; what changes from then on belongs to the next run."""
        pages = self._scan(window)
        first = next(pages)
        return first.as_of, chain([first], pages)

    def _is_same_scope(self) -> bool:
        """Tell whether the last whole scan was of the same; rows that a wider filter lets in have no new time."""
        if self._state.get(_SCOPE) == self._scope:
            return True
        if _SCOPE in self._state:  # older versions had none
            log.info("%s: filters, start_date or destination have changed: everything is read", self._endpoint.name)
        return False

    def _rescan_is_due(self, as_of: datetime) -> bool:
        cursor = self._last_value or as_of
        if as_of < cursor - LAG:
            message = "%s: the cursor, %s, is in the future; some clock was wrong, and everything is read again"
            log.warning(message, self._endpoint.name, cursor)
            return True
        after = self._settings.rescan_after
        return after is not None and not -LAG <= as_of - self._state[_FULL_SCAN] < after

    def _with_version(self, table: pa.Table) -> pa.Table:
        """Add what dlt's scd2 tells versions by, which it doesn't make for Arrow tables."""
        if not self._has_version:
            return table
        return table.append_column(
            pa.field(C_DLT_ID, schemas.TEXT, nullable=False), pa.array(digests(table), schemas.TEXT)
        )


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
    try:
        load_id = dlt.current.load_package_state()["load_id"]
    except CurrentLoadPackageStateNotAvailable:
        return table  # read without a pipeline
    # rows that an older version loaded have none
    return table.append_column(pa.field(C_DLT_LOAD_ID, schemas.TEXT), pa.repeat(load_id, table.num_rows))
