"""The clock of an emulated account."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The time an account lives by: the system's, or one that moves only when told to."""

    def __init__(self, at: datetime | None = None) -> None:
        """Follow the system's clock, or stand still at the time given (a naive one is taken for UTC)."""
        self._at = None if at is None else _utc(at)

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self._at or datetime.now(UTC)

    def set(self, at: datetime) -> None:
        """Stand still at another time, a later or an earlier one."""
        self._at = _utc(at)

    def advance(self, by: timedelta | None = None, *, seconds: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move ahead and stand still there."""
        self.set(self.now() + (by or timedelta()) + timedelta(days=days, hours=hours, seconds=seconds))


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
