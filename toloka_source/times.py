"""Times as the API wants them: UTC, whole milliseconds.

Everything is cut, never rounded: a rounded lower bound would lose the objects just above it.
"""

from datetime import UTC, date, datetime, time

from toloka_source.errors import ConfigurationError


def to_millisecond(moment: datetime) -> datetime:
    """Return the moment in UTC (a naive one is UTC already), cut to whole milliseconds."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    # a plain datetime, whatever subclass came in
    return datetime.combine(moment.date(), moment.timetz()).replace(microsecond=moment.microsecond // 1000 * 1000)


def parse_time(value: object, field: str) -> datetime:
    """Read a setting that is a time.

    Args:
        value: A `datetime`, a `date`, or text in ISO 8601; without a zone it is UTC.
        field: The setting's name, for the error.

    Returns:
        The moment in UTC, in whole milliseconds.

    Raises:
        ConfigurationError: The value is none of these.
    """
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return to_millisecond(value)
        if isinstance(value, date):
            return datetime.combine(value, time(), UTC)
    except (ValueError, OverflowError):
        pass
    remedy = "not a date; write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss, in UTC unless it names a zone"
    raise ConfigurationError(field, value, remedy)


def check_is_past(start: datetime, value: object) -> None:
    """Check that a start isn't in the future, before which nothing is loaded.

    Args:
        start: The moment.
        value: What the user wrote, for the error.

    Raises:
        ConfigurationError: It is.
    """
    now = datetime.now(UTC)
    if start > now:
        remedy = f"is in the future, so nothing would be loaded; it is {now:%Y-%m-%dT%H:%M:%S} in UTC now"
        raise ConfigurationError("start_date", str(value), remedy)


def format_time(moment: datetime) -> str:
    """Write a UTC moment as the API's filters take it: naive, with milliseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
