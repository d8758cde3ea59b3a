"""A small benchmark for every change: that all of it still works, and what a load costs in requests. No times."""

from collections.abc import Iterator

import pytest

from tests.benchmarks.rivals import floor, ours
from tests.benchmarks.server import Control, serve

PAGES = 8
"""What 1,000 projects and 1,000 trainings take."""

MOST_PARTIAL_PAGES = 16
"""Lists that are read in parallel end in more pages than one that aren't full."""

LANES = 3
"""One of projects, two of trainings: an increment's requests."""


@pytest.fixture(scope="module")
def server() -> Iterator[Control]:
    with serve(objects=2_000) as control:
        yield control


def test_project_and_floor_load_the_same_with_few_requests(server: Control) -> None:
    for state, phase in enumerate(("first_load", "increment")):
        for rival in (ours, floor):
            server.begin(state, latency=0.0)
            getattr(rival, phase)(rival.prepare(server.base_url))
            told = server.tell()
            assert rival.check() == told["facts"], (rival.__name__, phase)
            if phase == "first_load":
                assert PAGES <= told["requests"] <= PAGES + MOST_PARTIAL_PAGES
            else:
                assert told["requests"] == LANES
