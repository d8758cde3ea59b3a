"""Clients that share a limit: together close below it, in like shares, and few are refused."""

import heapq
from random import Random

import pytest

from toloka_source.api.pace import Pace
from toloka_source.emulator.rate_limit import RateLimit

SECONDS = 120


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def share(limit: int, clients: int, threads: int, latency: float) -> tuple[list[int], int]:
    """Let clients ask as fast as they may, for minutes of a clock of their own; who is refused waits a second.

    Returns:
        How many requests of each were granted in all but the first ten seconds, and how many of all were refused then.
    """
    clock, jitter = Clock(), Random(1)  # noqa: S311 - no secret
    api = RateLimit(limit, clock)
    paces, resume_at = [Pace(clock) for _ in range(clients)], [0.0] * clients
    granted, refused = [0] * clients, 0
    # what happens when: a thread wants to ask, or its request arrives
    coming = [(number / 1000, client, False) for client in range(clients) for number in range(threads)]
    heapq.heapify(coming)
    while coming[0][0] < SECONDS:
        clock.now, client, is_sent = heapq.heappop(coming)
        counts = clock.now > 10
        if not is_sent and clock.now < resume_at[client]:
            heapq.heappush(coming, (resume_at[client], client, False))
        elif not is_sent:
            heapq.heappush(coming, (clock.now + paces[client].turn() + latency / 2, client, True))
        elif api.grants("token"):
            paces[client].granted()
            granted[client] += counts
            heapq.heappush(coming, (clock.now + latency / 2, client, False))
        else:
            resume_at[client] = max(resume_at[client], clock.now + jitter.uniform(1, 1.25))
            paces[client].refused(resume_at[client])
            refused += counts
            heapq.heappush(coming, (resume_at[client], client, False))
    return granted, refused


@pytest.mark.parametrize(("threads", "latency"), [(8, 0.05), (16, 0.05), (16, 0.2)])
def test_eight_clients_share_a_limit(threads: int, latency: float) -> None:
    granted, refused = share(300, 8, threads, latency)
    assert 0.9 * 300 <= sum(granted) / (SECONDS - 10) <= 300
    assert max(granted) < 2 * min(granted)
    assert refused < 0.01 * sum(granted)


def test_one_client_alone_has_all_of_it() -> None:
    granted, refused = share(300, 1, 32, 0.05)
    assert granted[0] / (SECONDS - 10) >= 0.85 * 300
    assert refused < 0.01 * granted[0]


def test_who_is_never_refused_never_waits() -> None:
    granted, refused = share(300, 1, 8, 0.05)
    assert granted[0] == pytest.approx(8 / 0.05 * (SECONDS - 10), rel=0.01)
    assert refused == 0


@pytest.mark.parametrize("refusals", [1, 3])
def test_a_refusal_out_of_the_blue_is_soon_forgotten(refusals: int) -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(refusals):
        pace.refused(clock.now + 1)
        clock.now += 1
    sent = 0
    while clock.now < refusals + 4:
        clock.now += pace.turn()
        pace.granted()
        sent += 1
    assert sent > 500


def test_a_pace_is_given_up_when_the_others_are_gone() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(3):
        for _ in range(20):
            pace.granted()
        pace.refused(clock.now + 1)
        clock.now += 1
    pace.turn()
    assert pace.turn() > 0.02
    clock.now += 200
    pace.turn()
    assert pace.turn() < 0.006
