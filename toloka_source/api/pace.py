"""How fast a client asks where the API limits the requests of all that have its token."""

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

_SLOWER = 0.85
"""What is left of a client's pace when it is refused."""

_LEAST = 5.0
"""Requests a second that a client goes on with at least."""

_FEW = 10
"""A client that is refused after fewer requests can't be what is too fast."""


class Pace:
    """As fast as one can until the API refuses a request; then as fast as it let one, and by and by faster.

    Clients that share a limit don't know of each other. Each takes a part off when it is refused, and all add the same
    as time passes: their shares become alike, and together they stay close below the limit. Any thread may use it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a limit.

        Args:
            clock: Seconds since any moment.
        """
        self._clock = clock
        self._lock = Lock()
        self._granted: deque[float] = deque()
        self._base: float | None = None
        self._is_doubling = True
        self._since = 0
        self._resumed_at = 0.0
        self._next = 0.0

    def turn(self) -> float:
        """Return in how many seconds the next request may be sent; whoever asks sends it."""
        with self._lock:
            now = self._clock()
            if self._base is None:
                return 0.0
            turn = max(self._next, now)
            self._next = turn + 1 / self._rate(now)
            return turn - now

    def granted(self) -> None:
        """Note that a request was granted."""
        with self._lock:
            self._since += 1
            self._granted.append(self._clock())
            self._forget()

    def refused(self, resume_at: float) -> None:
        """Slow down, as a request was refused.

        Args:
            resume_at: The clock's time at which this client asks again.
        """
        with self._lock:
            now = self._clock()
            if now < self._resumed_at:
                return  # one that was on its way already
            self._forget()
            rate = len(self._granted) if self._is_doubling else self._rate(now)
            self._is_doubling &= self._base is None or self._since < _FEW
            self._base = max(rate * _SLOWER, _LEAST)
            self._resumed_at, self._since = resume_at, 0

    def _rate(self, now: float) -> float:
        """Return the requests a second.

        At first what is possible is looked for, by twice as many each half a second. Later there are hardly more soon
        after a refusal, and many more long after it, when others have ended.
        """
        base, seconds = self._base or 0.0, max(now - self._resumed_at, 0.0)
        if self._is_doubling:
            return float(base * 4 ** min(seconds, 10.0))
        return float(base + 0.05 * seconds + 0.005 * seconds**2)

    def _forget(self) -> None:
        while self._granted and self._granted[0] <= self._clock() - 1:
            self._granted.popleft()
