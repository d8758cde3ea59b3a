"""When a list is read whole again: what a resource's state says of the last time, and what follows from that.

The API has no filter for edits, closing or archiving: only a whole scan finds them. By default one is made as often as
it is cheap. It costs as many minutes as it takes requests, for all lists together, so that these scans take one request
a minute on average, and at most a day.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from toloka_source.settings import AUTO

LAG = timedelta(seconds=60)
"""How far clocks may differ, and how far a window reaches back before the cursor for what becomes visible late."""

_AT, _SCOPE, _REQUESTS, _PAGES = "full_scan_at", "scope", "full_scan_requests", "full_scan_pages"
_COMPLETE_AT = "full_scan_complete_at"
_COUNTED_FROM = "full_scan_counted_from"
"""Where the state says when the scan was due: one that comes early doesn't make the next one early."""

_EARLY = timedelta(minutes=5)
"""How much earlier than due it may come: an hourly run is never an hour after the last one to the second."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_PAGES_AN_HOUR = 60


class FullScans:
    """The whole scans of one resource."""

    def __init__(
        self,
        state: dict[str, Any],
        others: Mapping[str, Mapping[str, Any]],
        after: timedelta | Literal["auto"] | None,
        scope: str,
    ) -> None:
        """Look at the state; nothing is changed.

        Args:
            state: The resource's.
            others: That of each resource of the source.
            after: The age of the last one that calls for another; None for never.
            scope: What a scan is of: the place, the filters and the start.
        """
        self._state = state
        self._others = others
        self._after = after
        self._scope = scope
        self._due: datetime | None = None
        self.is_clock_wrong = False

    @property
    def is_first(self) -> bool:
        """Whether there was none yet: there is nothing to go on from."""
        return _AT not in self._state

    @property
    def complete_at(self) -> datetime | None:
        """When the last one of the same that found out what is gone was made; None if there was none."""
        return self._state.get(_COMPLETE_AT) if self._state.get(_SCOPE) == self._scope else None

    def reason(self) -> str:
        """Return why the list is to be read whole, whatever the time is; empty if that depends on the time."""
        if self.is_first:
            return "there was none before"
        if self._state.get(_SCOPE) != self._scope:
            # older versions had none; rows that a wider filter lets in have no new time
            if _SCOPE in self._state:
                return "filters, start_date, history or destination have changed"
            return "the last one was by an older version"
        return "rescan_after_hours is 0" if self._after == timedelta() else ""

    def reason_at(self, moment: datetime, cursor: datetime | None) -> str:
        """Return why the list is to be read whole at this moment; empty if it is not.

        Args:
            moment: Now, by the server's clock.
            cursor: The moment up to which the last run was complete.
        """
        if moment < (cursor or moment) - LAG:
            self.is_clock_wrong = True
            return f"the cursor, {cursor}, is in the future: some clock was wrong"
        age = moment - self._state[_AT]
        if self._after is None:
            return ""
        if self._after != AUTO:
            return "" if -LAG <= age < self._after else f"the last one was {_in_words(age)} ago"
        interval = self._interval()
        self._due = self._state.get(_COUNTED_FROM, self._state[_AT]) + interval
        if age >= -LAG and moment < self._due - min(_EARLY, interval / 12):
            return ""
        return f"the last one was {_in_words(age)} ago, and took {self._state.get(_REQUESTS, 'some')} requests"

    def note(self, moment: datetime, requests: int, pages: int, *, is_complete: bool = True) -> None:
        """Write into the state that the list was read whole, and whether that found out what is gone."""
        if is_complete:
            self._state[_COMPLETE_AT] = moment
        elif self._state.get(_SCOPE) != self._scope:
            self._state.pop(_COMPLETE_AT, None)  # that one was of something else
        counted_from = max(moment, self._due or moment)
        self._state |= {_AT: moment, _SCOPE: self._scope, _REQUESTS: requests, _PAGES: pages}
        self._state[_COUNTED_FROM] = min(counted_from, moment + _EARLY)

    def _interval(self) -> timedelta:
        """Return for how long the last scans of all lists are paid for."""
        requests = sum(state.get(_REQUESTS, 0) for state in self._others.values())
        pages = sum(state.get(_PAGES, 0) for state in self._others.values())
        interval = min(timedelta(minutes=requests), _DAY)
        # what a scan of many pages at once asks for in vain isn't to make an account of an hour's pages wait longer
        return min(interval, _HOUR) if pages <= _PAGES_AN_HOUR else interval


def _in_words(age: timedelta) -> str:
    minutes = round(age.total_seconds() / 60)
    return f"{minutes} minutes" if abs(minutes) < 2 * 60 else f"{round(minutes / 60)} hours"
