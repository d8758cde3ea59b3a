"""The dlt source: cursor -> window -> scan -> tables, merged on id.

A regular run covers what happened since the cursor. The cursor then becomes the moment at which the run's first page
was asked for, not the greatest time seen: what happens while the pages are read belongs to the next run.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from time import monotonic
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.schema.typing import TColumnSchema
from dlt.extract import DltResource
from dlt.sources import incremental

from toloka_source import schemas
from toloka_source.arrow import Rejected, rejected_table, to_table
from toloka_source.client import Client, Item, Page, RetryPolicy, base_address
from toloka_source.endpoints import ENDPOINTS, Endpoint
from toloka_source.errors import ConfigurationError, RejectedItemsError
from toloka_source.overlap import Overlap
from toloka_source.scan import Window, scan
from toloka_source.times import parse_time

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

_SILENCED = "when merging arrow schema with dlt schema, several column hints were different"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Settings:
    """What all resources of one source share; checked."""

    address: str
    token: str
    policy: RetryPolicy
    start: datetime | None
    end: datetime | None
    rescan_after: timedelta | None
    strict: bool

    def connect(self) -> Client:
        return Client(self.address, self.token, self.policy)


@dlt.source(name="toloka")
def toloka(
    token: dlt.TSecretStrValue | None = dlt.secrets.value,
    environment: str = "production",
    base_url: str | None = None,
    start_date: Any = None,  # noqa: ANN401 - text, date or datetime; dlt would read a Union its own way
    end_date: Any = None,  # noqa: ANN401
    filters: dict[str, Any] | None = None,
    rescan_after_hours: float | None = 24.0,
    strict: bool = False,  # noqa: FBT001, FBT002 - an argument like the others
) -> list[DltResource]:
    """Toloka's projects and trainings, one row each, merged on `id`.

    Every argument can stand in the configuration, under `[sources.toloka]` or as `SOURCES__TOLOKA__<NAME>`. Building
    the source makes no request.

    Args:
        token: The account's token, sent as `OAuth <token>`; a value that begins with `OAuth ` or `ApiKey ` is sent as
            it is.
        environment: "production" or "sandbox".
        base_url: Another address of the API, such as a local one; overrides `environment`.
        start_date: Text in ISO 8601, a date or a datetime; UTC unless it has a zone. Nothing that is older is loaded;
            the moment itself is not in. What the first run was given stays in force until another one is given.
        end_date: As `start_date`; the moment itself is in. With it the run is a back-fill of (start_date, end_date],
            which neither reads nor moves the cursor.
        filters: For each resource the API's own filters, such as `{"projects": {"status": "ACTIVE"}}`; for their
            names see `ENDPOINTS`.
        rescan_after_hours: A resource is read whole again when that was last done longer ago, to find what no cursor
            tells of: edits, closing, archiving. 0: every run; None (in the configuration `inf`): never.
        strict: Fail, before anything is loaded, when an object doesn't fit its schema.

    Returns:
        A resource for each entry of `ENDPOINTS`.

    Raises:
        ConfigurationError: An argument can't work; says which, and what to write.
    """
    start = None if start_date is None else parse_time(start_date, "start_date")
    end = None if end_date is None else parse_time(end_date, "end_date")
    if end is not None and end <= (start or _EPOCH):
        raise ConfigurationError("end_date", str(end_date), f"must be after start_date, {start or _EPOCH}")
    address = base_address(environment, base_url)
    settings = _Settings(address, token or "", _retry_policy(), start, end, _rescan_after(rescan_after_hours), strict)
    settings.connect()  # a token that can't be one is refused now
    checked = _check_filters(filters or {})
    logging.getLogger("dlt").addFilter(_is_news)
    return [_resource(endpoint, checked.get(name, {}), settings) for name, endpoint in ENDPOINTS.items()]


def _is_news(record: logging.LogRecord) -> bool:
    """Keep back one warning of dlt's: that a `json` column is a string in Arrow is as it should be."""
    message = record.getMessage()
    return _SILENCED not in message or not any(f"resource: {name}," in message for name in ENDPOINTS)


def _check_filters(filters: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    for name, of_resource in filters.items():
        if name not in ENDPOINTS:
            raise ConfigurationError("filters", name, f"unknown resource; use one of {', '.join(ENDPOINTS)}")
        if not isinstance(of_resource, Mapping):
            raise ConfigurationError(f"filters.{name}", of_resource, "must be a table of filters and values")
    return {name: ENDPOINTS[name].check_filters(of_resource) for name, of_resource in filters.items()}


def _rescan_after(hours: float | None) -> timedelta | None:
    if hours is None or hours == float("inf"):
        return None
    try:
        if hours >= 0:
            return timedelta(hours=hours)
    except (TypeError, OverflowError):
        pass
    raise ConfigurationError("rescan_after_hours", hours, "must be a number of hours, 0 or more")


def _retry_policy() -> RetryPolicy:
    """Take what dlt's own settings for requests say, where they say something."""
    attempts = dlt.config.get("runtime.request_max_attempts", int)
    seconds = dlt.config.get("runtime.request_timeout", float)
    default = RetryPolicy()
    return RetryPolicy(attempts=attempts or default.attempts, request_seconds=seconds or default.request_seconds)


def _resource(endpoint: Endpoint, filters: Mapping[str, str], settings: _Settings) -> DltResource:
    of_run = incremental[datetime](
        endpoint.cursors[-1],
        initial_value=settings.start or (_EPOCH if settings.end else None),
        end_value=settings.end,
        lag=LAG.total_seconds(),
        range_start="open",
        range_end="closed",
        allow_external_schedulers=False,
    )

    def rows(cursor: incremental[datetime] = of_run) -> Iterator[Any]:
        with settings.connect() as client:
            yield from _Run(endpoint, filters, settings, cursor, client).tables()

    resource: DltResource = dlt.resource(
        rows,
        name=endpoint.name,
        primary_key="id",
        write_disposition="merge",
        columns=[_hints(field) for field in endpoint.schema],
    )
    # the first call drops the columns that the table would have from the resource
    for columns in ([], [_hints(field) for field in schemas.REJECTED_ITEMS]):
        resource.apply_hints(table_name=REJECTED_ITEMS, columns=columns, primary_key="key", create_table_variant=True)
    return resource


def _hints(field: pa.Field) -> TColumnSchema:
    hints: TColumnSchema = {"name": field.name, "description": schemas.description(field)}
    if schemas.is_json(field):
        hints["data_type"] = "json"
    return hints


class _Run:
    """One run of one resource."""

    def __init__(
        self,
        endpoint: Endpoint,
        filters: Mapping[str, str],
        settings: _Settings,
        cursor: incremental[datetime],
        client: Client,
    ) -> None:
        self._endpoint = endpoint
        self._filters = filters
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
            # an empty account gets its tables too
            if table.num_rows or misfits or window.whole:
                # dlt keeps what is set here only if the whole run succeeds, and then passes the rows unfiltered
                self._cursor.advance(as_of)
                if window.whole:
                    self._state[_FULL_SCAN] = as_of
                if self._settings.end is None:
                    self._state[_OVERLAP] = overlap.noted
                yield self._with_hints(table)
        if rejected:
            log.warning("%s: %d objects don't fit, see table %s", name, len(rejected), REJECTED_ITEMS)
            table = rejected_table(rejected, name, datetime.now(UTC))
            yield dlt.mark.with_table_name(table, REJECTED_ITEMS)
        metrics[RUN_METRICS] = {
            "window_start": window.start,
            "window_end": as_of,
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
        return scan(self._client, self._endpoint, window, self._filters)

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
        unknown = [field for field in table.schema if field.name not in self._endpoint.schema.names]
        if not unknown:
            return table
        new = {field.name for field in unknown} - self._unknown
        if new:
            self._unknown |= new
            log.warning("%s: fields that are not documented: %s", self._endpoint.name, ", ".join(sorted(new)))
        return dlt.mark.with_hints(table, dlt.mark.make_hints(columns=[_hints(field) for field in unknown]))


def _batches(pages: Iterable[Page]) -> Iterator[list[Item]]:
    """Put the objects of pages together to some thousands; one batch at least, even if it is empty."""
    items: list[Item] = []
    for page in pages:
        if len(items) >= TABLE_ROWS:
            yield items
            items = []
        items += page.items
    yield items
