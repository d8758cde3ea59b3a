"""A small benchmark for every change: that all of it works, and what a load costs in requests and memory. No times."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.benchmarks import limit
from tests.benchmarks.environments import ROOT
from tests.benchmarks.measure import PHASES
from tests.benchmarks.rivals import floor, ours
from tests.benchmarks.server import Control, serve

PAGES = 8
"""What 1,000 projects and 1,000 trainings take."""

MOST_PARTIAL_PAGES = 16
"""Lists that are read in parallel end in more pages than one that aren't full."""

LANES = 3
"""One of projects, two of trainings: an increment's requests."""

WRITTEN = {
    "first_load": (2_000, 2_000),
    "increment": (20, 20),
    "idle": (0, 0),
    "rescan": (0, 2_015),
    "rescan_edited": (22, 2_015),
}
"""Rows that this project writes, and the floor."""

SIZES = ("60000", "130000")
"""Both more than are in memory at once; DuckDB's own group of rows would hold all of them, 122,880 in each table."""

MOST_MB_MORE = 90
"""The 70,000 further objects are 154 MB. 0 to 40 of them are in memory; 150 where DuckDB takes a table at once."""


@pytest.fixture(scope="module")
def server() -> Iterator[Control]:
    with serve(objects=2_000) as control:
        yield control


def test_project_and_floor_load_the_same_with_few_requests(server: Control) -> None:
    for name, phase in PHASES.items():
        for rival in (ours, floor):
            server.begin(phase.state, latency=0.0)
            written = getattr(rival, phase.does)(rival.prepare(server.base_url))
            told = server.tell()
            assert rival.check() == told["facts"], (rival.__name__, name)
            assert written == WRITTEN[name][rival is floor], (rival.__name__, name)
            if phase.does == "increment":
                assert told["requests"] == LANES
            else:
                assert PAGES <= told["requests"] <= PAGES + MOST_PARTIAL_PAGES


@pytest.mark.slow
def test_memory_of_a_first_load_does_not_grow_with_the_account() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.memory", *SIZES]
    peaks = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    small, large = map(float, peaks.split())
    assert large - small < MOST_MB_MORE


def test_workers_that_share_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "START_SECONDS", 1)
    shares = limit.measure(workers=2, threads=2, limit=10, latency=0, seconds=3)
    assert len(shares) == 2
    for share in shares:
        assert 0 < share.granted < share.sent
