"""The API's limit of requests a second."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

RETRY_AFTER = 1
"""Seconds after which a client that was refused may come back."""


class RateLimit:
    """Grants each client so many requests in any second; what comes beyond that is refused."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up.

        Args:
            most: How many requests of one client are granted in a second.
            clock: Seconds since any moment.

        Raises:
            ValueError: None would be granted.
        """
        if most < 1:
            raise ValueError(f"a limit of {most} requests a second lets none in")
        self._most = most
        self._clock = clock
        self._granted: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=most))

    def grants(self, client: str) -> bool:
        """Tell whether a request that a client sends now is granted; it counts if it is."""
        granted = self._granted[client]
        now = self._clock()
        if len(granted) == self._most and now - granted[0] < 1:
            return False
        granted.append(now)
        return True
