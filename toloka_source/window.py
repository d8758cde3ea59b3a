"""The window: the stretch of time that a run covers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Window:
    """The times (start, end] that a run covers, UTC; None is no bound.

    Attributes:
        start: Not in the window itself, so that neighbours don't overlap.
        end: In the window.
        whole: Whether the window is all that is ever to be loaded, rather than a part of it.
    """

    start: datetime | None = None
    end: datetime | None = None
    whole: bool = False
