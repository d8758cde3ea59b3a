"""What a source is told: its arguments, checked before any request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import dlt
from dlt.common.schema.typing import TTableFormat

from toloka_source.api.client import Client, RetryPolicy
from toloka_source.api.connection import base_address
from toloka_source.api.token import Token
from toloka_source.catalog import ENDPOINTS, resource_names
from toloka_source.errors import ConfigurationError, check_choice
from toloka_source.times import check_is_past, parse_time

AUTO: Literal["auto"] = "auto"
"""As often as it is cheap."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Older than anything in Toloka."""

_EXTRAS = {"delta": "deltalake", "iceberg": "pyiceberg"}
"""The package that a format of tables needs, which is an extra of this one by the same name."""

if TYPE_CHECKING:
    from toloka_source.catalog import endpoints

    Environment = Literal["production", "sandbox"]
    """Which of the API's hosts."""

    TableFormat = Literal["delta", "iceberg"]
    """The format of the tables, for the destination `filesystem`."""

    Time = str | date
    """Text in ISO 8601, a date or a datetime."""

    Hours = float | Literal["auto"]
    """A number of hours, or as often as it is cheap."""

    Filters = endpoints.Filters
    """For each resource the API's filters."""

    Resources = Sequence[str] | str
    """Names of resources, or "all"."""
else:
    # dlt resolves an argument by its annotation: by those above it would refuse a wrong value in words of its own, take
    # a number for a time, and read no JSON for the filters
    Environment = TableFormat = str
    Time = Hours = Resources = Any
    Filters = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What all resources of one source share.

    Attributes:
        resources: The names of what is to be loaded.
        address: The API's address.
        token: The account's token.
        policy: How long to try.
        start: Nothing that is older is loaded.
        end: The end of a back-fill; None for a regular run.
        filters: For each resource the API's filters, as they are sent.
        rescan_after: The age of the last whole scan that calls for another; "auto": as often as it is cheap; None for
            never.
        gone_share: The greatest share of a table's rows that may be missing at once.
        history: Whether each version of each object is kept.
        allow_shrink: Whether most of a table's rows may be missing, and the account be another one.
        strict: Whether to fail when an object doesn't fit its schema.
        workers: How many pages of a resource are read at once.
        table_format: The format of the tables, where the destination has a choice.
    """

    resources: Sequence[str]
    address: str
    token: Token
    policy: RetryPolicy
    start: datetime | None
    end: datetime | None
    filters: Mapping[str, Mapping[str, str]]
    rescan_after: timedelta | Literal["auto"] | None
    gone_share: float
    history: bool
    allow_shrink: bool
    strict: bool
    workers: int
    table_format: TTableFormat | None

    def connect(self, *, keeps_nul: bool = True) -> Client:
        """Return a client of its own for a run of a resource; for `keeps_nul` see there."""
        return Client(self.address, self.token, self.policy, connections=self.workers, keeps_nul=keeps_nul)


def check_settings(
    token: Token,
    environment: str,
    base_url: str | None,
    start_date: object,
    end_date: object,
    resources: object,
    filters: Mapping[str, Any] | None,
    rescan_after_hours: object,
    gone_share: object,
    history: bool,  # noqa: FBT001 - as in the source's arguments
    allow_shrink: bool,  # noqa: FBT001 - as in the source's arguments
    max_concurrency: int,
    strict: bool,  # noqa: FBT001
    table_format: str | None,
) -> Settings:
    """Return the settings that the arguments of `toloka` stand for.

    Raises:
        ConfigurationError: An argument can't work; says which, and what to write.
    """
    start = None if start_date is None else parse_time(start_date, "start_date")
    end = None if end_date is None else parse_time(end_date, "end_date")
    if end is not None and end <= (start or EPOCH):
        raise ConfigurationError("end_date", str(end_date), f"must be after start_date, {start or EPOCH}")
    if start is not None and end is None:  # a window of a back-fill may be one that hasn't begun
        check_is_past(start, start_date)
    if not isinstance(max_concurrency, int) or isinstance(max_concurrency, bool) or max_concurrency < 1:
        raise ConfigurationError("max_concurrency", max_concurrency, "must be a whole number, 1 or more")
    settings = Settings(
        resources=_in_range(resource_names(resources), end),
        address=base_address(environment, base_url),
        token=token,
        policy=_retry_policy(),
        start=start,
        end=end,
        filters=_check_filters(filters or {}),
        rescan_after=_rescan_after(rescan_after_hours),
        gone_share=_share("gone_share", gone_share),
        history=history,
        allow_shrink=allow_shrink,
        strict=strict,
        workers=max_concurrency,
        table_format=_table_format(table_format),
    )
    settings.connect()  # a token that can't be one is refused now
    return settings


def _in_range(names: Sequence[str], end: datetime | None) -> Sequence[str]:
    """Return those of which a range of time can be loaded, if one is to be."""
    chosen = [name for name in names if end is None or ENDPOINTS[name].cursors]
    if not chosen:
        remedy = "no time to select by: load it without end_date"
        raise ConfigurationError("resources", ", ".join(names), remedy)
    return chosen


def _check_filters(filters: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    for name, of_resource in filters.items():
        check_choice("filters", name, ENDPOINTS)
        if not isinstance(of_resource, Mapping):
            raise ConfigurationError(f"filters.{name}", of_resource, "must be a table of filters and values")
    return {name: ENDPOINTS[name].check_filters(of_resource) for name, of_resource in filters.items()}


def _rescan_after(hours: Any) -> timedelta | Literal["auto"] | None:  # noqa: ANN401 - checked here
    if hours is None:
        return None
    if hours == AUTO:
        return AUTO
    try:
        number = float(hours)
        if number >= 0 and not isinstance(hours, bool):
            return None if number == float("inf") else timedelta(hours=number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigurationError("rescan_after_hours", hours, "must be a number of hours, 0 or more, or auto")


def _share(name: str, value: Any) -> float:  # noqa: ANN401 - checked here
    try:
        if 0 <= float(value) <= 1 and not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigurationError(name, value, "must be a number from 0 to 1")


def _table_format(name: str | None) -> TTableFormat | None:
    known: dict[str | None, TTableFormat | None] = {None: None, "delta": "delta", "iceberg": "iceberg"}
    if name not in known:
        raise ConfigurationError("table_format", name, "unknown; use delta or iceberg, or leave it out")
    extra = _EXTRAS.get(name or "")
    if extra and find_spec(extra) is None:
        raise ConfigurationError("table_format", name, f"needs the extra {extra}: pip install 'toloka-source[{extra}]'")
    return known[name]


def _retry_policy() -> RetryPolicy:
    """Take what dlt's own settings for requests say, where they say something."""
    attempts = dlt.config.get("runtime.request_max_attempts", int)
    seconds = dlt.config.get("runtime.request_timeout", float)
    default = RetryPolicy()
    return RetryPolicy(attempts=attempts or default.attempts, request_seconds=seconds or default.request_seconds)
