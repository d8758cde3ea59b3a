"""What one run of a resource reads: cursor -> window -> scan -> tables.

A regular run covers what happened since the cursor. The cursor then becomes the moment at which the run's first page
was asked for, not the greatest time seen: what happens while the pages are read belongs to the next run.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import dlt
import msgspec
import pyarrow as pa
from dlt.sources import incremental

from toloka_source import _dlt
from toloka_source.api.client import Client, Item, Page
from toloka_source.catalog import Endpoint, schemas
from toloka_source.destinations.known_rows import KnownRows
from toloka_source.destinations.place import Place
from toloka_source.scan.pages import scan
from toloka_source.settings import EPOCH, Settings
from toloka_source.tables.arrow import Rejected, to_table
from toloka_source.tables.batches import batches
from toloka_source.tables.content_hash import content_hashes, seed_of
from toloka_source.tables.cursors import has_our_terms
from toloka_source.tables.full_scans import FullScans
from toloka_source.tables.hints import RunHints
from toloka_source.window import Window

log = logging.getLogger(__name__)


class Built(NamedTuple):
    """What became of some objects.

    Attributes:
        table: Their table; None before any were read, when it is known what will be.
        misfits: Those that don't fit.
        unchanged: The ids of those that are known just so, and that no table was built of.
        moment: When they were read.
    """

    table: pa.Table | None
    misfits: list[Rejected]
    unchanged: pa.Array
    moment: datetime


_MILLISECOND = timedelta(milliseconds=1)

_START = "start_date"
"""Where a resource's state holds the start date that is in force."""


class Reading:
    """What a run of a resource reads, and what the state says of it.

    Attributes:
        is_pushed_down: Whether the API applies the cursor; else dlt does, row by row.
        keeps_state: Whether the run moves the cursor.
        window: What is covered; known when the first page was read, as all below.
        as_of: The moment up to which it is complete.
        kind: "first", "re-scan", "increment" or "back-fill".
        reason: Why the whole list is read; empty if it isn't.
        full_scans: When the list was read whole.
        state: The resource's.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        cursor: incremental[datetime],
        client: Client,
        place: Place | None,
    ) -> None:
        """Prepare; nothing is read yet. For the arguments see `Run`."""
        self._endpoint = endpoint
        self._filters = settings.filters.get(endpoint.name, {})
        self._settings = settings
        self._cursor = cursor
        self._client = client
        self._is_jsonb = place is not None and place.is_jsonb
        self.is_pushed_down = has_our_terms(cursor, endpoint)
        self._is_backfill = cursor.end_value is not None
        self.keeps_state = self.is_pushed_down and not self._is_backfill
        # dlt writes the state as soon as somebody asks for it
        self.state: dict[str, Any] = dlt.current.resource_state() if self.keeps_state else {}
        cursor_state = cursor.get_state()
        self._last_value: datetime | None = cursor_state["last_value"]
        self._start: datetime | None = settings.start or self.state.get(_START, cursor_state["initial_value"])
        history = ["history"] if settings.history else []
        scope = (place and place.digest, sorted(self._filters.items()), self._start, *history)
        self.full_scans = FullScans(
            state=self.state,
            others=_dlt.resource_states() if self.keeps_state else {},
            after=settings.rescan_after,
            scope=sha256(repr(scope).encode()).hexdigest(),
        )
        self._normalize = dlt.current.source_schema().naming.normalize_path
        self.window = Window()
        self.as_of = EPOCH  # until the first page was read
        self.kind, self.reason = "increment", ""

    @property
    def is_increment(self) -> bool:
        """Whether only a part is read that follows on an earlier one."""
        return not self.window.whole and not self._is_backfill

    @property
    def shows_what_is_gone(self) -> bool:
        """Whether all that the account has is read."""
        return self.window.whole and not self._filters and self._start is None

    def tables(self, hints: RunHints, known: Callable[[], Sequence[KnownRows]]) -> Generator[Built]:
        """Read the window and build its tables; this runs in a thread of its own.

        Args:
            hints: The resource's.
            known: Waits for the rows that are there; an object of which each has the hash is unchanged.
        """
        self.window, self.as_of, pages = self._open()
        schema, there = self._endpoint.schema, hints.unknown_columns
        yield Built(None, [], _ids([]), self.as_of)
        for items, moment in batches(pages):
            new, unchanged = _split(items, schema, known())
            table, misfits = to_table(new, schema, self._normalize, is_jsonb=self._is_jsonb, there=there)
            yield Built(table, misfits, _ids(unchanged), moment)

    def note(self, objects: int, *, is_complete: bool) -> None:
        """Move the cursor, and write into the state what was read.

        Args:
            objects: How many objects were read.
            is_complete: Whether that has shown what is gone.
        """
        self._cursor.advance(self.as_of)
        if self.window.whole:
            self.state[_START] = self._start
            pages = -(-objects // self._endpoint.page_size)
            self.full_scans.note(self.as_of, self._client.requests, pages, is_complete=is_complete)

    def _open(self) -> tuple[Window, datetime, Iterator[Page]]:
        """Return the window of this run, the moment up to which it is complete, and its pages."""
        if self._is_backfill:
            self.kind = "back-fill"
        if not self.is_pushed_down:
            # dlt drops what is just outside of its range; the API's is open at the start, and of whole milliseconds
            start, end = self._cursor.start_value, self._cursor.end_value
            window = Window(start and start - _MILLISECOND, end and end + _MILLISECOND)
            return window, *self._begin(window)
        if self._cursor.end_value is not None:
            window = Window(self._settings.start, self._cursor.end_value)
            return window, self._cursor.end_value, self._scan(window)
        self.reason = self.full_scans.reason()
        if not self.reason and not self._endpoint.cursors:
            self.reason = "it has no times to go by"
        if not self.reason:
            window = Window(self._cursor.start_value)
            as_of, pages = self._begin(window)
            self.reason = self.full_scans.reason_at(as_of, self._last_value)
            if not self.reason:
                return window, as_of, pages
        self.kind = "first" if self.full_scans.is_first else "re-scan"
        level = logging.WARNING if self.full_scans.is_clock_wrong else logging.INFO
        log.log(level, "%s: everything is read: %s", self._endpoint.name, self.reason)
        window = Window(self._start, whole=True)
        return window, *self._begin(window)

    def _scan(self, window: Window) -> Iterator[Page]:
        return scan(self._client, self._endpoint, window, self._filters, self._settings.workers)

    def _begin(self, window: Window) -> tuple[datetime, Iterator[Page]]:
        """Read the first page; what changes from then on belongs to the next run."""
        pages = self._scan(window)
        first = next(pages)
        return first.as_of, chain([first], pages)


def _split(
    items: Sequence[Item], schema: pa.Schema, known: Sequence[KnownRows]
) -> tuple[Sequence[Item], Sequence[Item]]:
    """Return the objects that aren't known just so, and those that are: a hash costs a fifth of a row."""
    if not known:
        return items, []
    new: list[Item] = []
    unchanged: list[Item] = []
    for item, content_hash in zip(items, content_hashes(items, seed_of(schema)).to_pylist(), strict=True):
        (unchanged if all(one.has(content_hash) for one in known) else new).append(item)
    return new, unchanged


def _ids(items: Sequence[Item]) -> pa.Array:
    joined = b"[" + b",".join([item["id"] for item in items]) + b"]"
    return pa.array(msgspec.json.decode(joined, type=list[str]), schemas.TEXT)
