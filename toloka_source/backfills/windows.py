"""A range of time, cut into windows."""

from datetime import datetime, timedelta
from itertools import pairwise

from toloka_source.errors import ConfigurationError, check_choice
from toloka_source.times import parse_time
from toloka_source.window import Window

BY = ("day", "week", "month")
"""What a range of time is cut by."""


def split_windows(start_date: object, end_date: object, by: str = "month") -> list[Window]:
    """Cut (start_date, end_date] into windows, at the beginnings (UTC) of days, weeks or months.

    Args:
        start_date: Text in ISO 8601, a date or a datetime, as in `toloka`; not in the first window itself.
        end_date: As `start_date`; in the last window.
        by: "day", "week" (from Monday) or "month".

    Returns:
        The windows in their order; each begins where the one before it ends. The first and the last may be shorter.

    Raises:
        ConfigurationError: A date is none, the end isn't after the start, or `by` is unknown.
    """
    start, end = parse_time(start_date, "start_date"), parse_time(end_date, "end_date")
    check_choice("by", by, BY)
    if end <= start:
        raise ConfigurationError("end_date", str(end_date), f"must be after start_date, {start}")
    seams = [start]
    while (seam := _next_beginning(seams[-1], by)) < end:
        seams.append(seam)
    return [Window(*seams) for seams in pairwise([*seams, end])]


def _next_beginning(moment: datetime, by: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if by == "day":
            return midnight + timedelta(days=1)
        if by == "week":
            return midnight + timedelta(days=7 - midnight.weekday())
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    except OverflowError:
        return datetime.max.replace(tzinfo=moment.tzinfo)


def window_name(window: Window) -> str:
    """Return a window's name, such as `20260101_20260201`, that can be part of the name of a dataset or a file."""
    return f"{_name(window.start)}_{_name(window.end)}"


def _name(moment: datetime | None) -> str:
    if moment is None:
        return "open"
    text = f"{moment:%Y%m%dt%H%M%S}{moment.microsecond // 1000:03}"
    return text.removesuffix("000").removesuffix("t000000")
