"""Many pages at once: the same objects as page after page, hardly more requests, one error, and one pause for all."""

import random
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import NOON, Warehouse, assert_tables_equal_account
from toloka_source import errors
from toloka_source.api.client import Client, Page, RetryPolicy
from toloka_source.catalog.endpoints import PROJECTS
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.scan.gaps import Gaps
from toloka_source.scan.pages import _Pages, read_pages

WORKERS = 8
THREE_A_PAGE = replace(PROJECTS, page_size=3)

DENSE = range(1, 20_001)
UNEVEN = {
    "dense": DENSE,
    "one outlier": [*DENSE[:-1], 10**12],
    "one far below": [1, *(10**12 + number for number in DENSE[:-1])],
    "two accounts": [*DENSE[:10_000], *(10**12 + number for number in range(10_000))],
    "clumps and gaps": [clump * 10**6 + number for clump in range(20) for number in range(1_000)],
    "wider and wider": [number * number for number in DENSE],
    "exponential": sorted({int(1.001**number * 1_000) for number in DENSE}),
    "doubling": [2 ** (number // 100) * 1_000 + number % 100 for number in DENSE],
    "clumps at random": [c * 10**9 + k for c in random.Random(1).sample(range(10**6), 60) for k in range(333)],  # noqa: S311
    "small clumps": [c * 10**9 + k for c in random.Random(2).sample(range(10**6), 150) for k in range(133)],  # noqa: S311
    "at random": random.Random(0).sample(range(10**9), 20_000),  # noqa: S311 - no secret
}


class Listing:
    """Answers as the API does, from ids alone; counts its requests."""

    def __init__(self, ids: Iterable[int]) -> None:
        """Hold these ids."""
        self.ids = sorted(ids)
        self.requests = 0
        self._lock = threading.Lock()

    def get_page(self, _path: str, params: dict[str, str]) -> Page:
        """Return a page of objects that have nothing but an id."""
        with self._lock:
            self.requests += 1
        low, high = params.get("id_gt"), params.get("id_lte")
        start = bisect_right(self.ids, int(low)) if low else 0
        end = bisect_right(self.ids, int(high)) if high else len(self.ids)
        limit = int(params["limit"])
        upwards = params["sort"] == "id"
        found = self.ids[start : min(end, start + limit)] if upwards else self.ids[max(start, end - limit) : end][::-1]
        items = [{"id": msgspec.Raw(f'"{number}"'.encode())} for number in found]
        return Page(items, end - start > limit, NOON)


def ids_of(pages: Iterator[Page]) -> list[int]:
    return [int(msgspec.json.decode(item["id"])) for page in pages for item in page.items]


@pytest.mark.parametrize("ids", UNEVEN.values(), ids=UNEVEN.keys())
def test_hardly_more_requests_than_in_order(ids: list[int]) -> None:
    in_order, at_once = Listing(ids), Listing(ids)
    expected = ids_of(read_pages(cast("Client", in_order), PROJECTS, {}))
    found = ids_of(read_pages(cast("Client", at_once), PROJECTS, {}, WORKERS))
    assert sorted(found) == expected == sorted(ids)
    assert in_order.requests == -(-len(expected) // 300)
    assert at_once.requests <= 1.15 * in_order.requests


@pytest.mark.parametrize("ids", [ids for name, ids in UNEVEN.items() if name != "doubling"])
def test_the_workers_are_busy(ids: list[int]) -> None:
    # where all requests take equally long, 67 pages take 2 rounds for the first pages and 9 for the others at best
    pages = _Pages(cast("Client", Listing(ids)), PROJECTS, {})
    _, first = pages.after(None)
    last = pages.last(first)
    assert last is not None
    assert last[1] is not None
    gaps, rounds = Gaps(last[1], WORKERS, PROJECTS.page_size), 2
    while gaps.is_left:
        begun = [gaps.begin() for _ in range(WORKERS)]
        for wanted in filter(None, begun):
            gaps.end(wanted, *pages.of_range(wanted))
        rounds += 1
    assert rounds <= 15


@settings(max_examples=200)
@given(st.sets(st.integers(1, 200) | st.integers(1, 10**25), max_size=60), st.integers(1, 9))
def test_the_same_objects_as_in_order(ids: set[int], workers: int) -> None:
    found = ids_of(read_pages(cast("Client", Listing(ids)), THREE_A_PAGE, {}, workers))
    assert sorted(found) == sorted(ids)
    assert len(found) == len(ids)


def test_a_single_page_costs_no_extra_request() -> None:
    listing = Listing(range(1, 301))
    assert len(ids_of(read_pages(cast("Client", listing), PROJECTS, {}, WORKERS))) == 300
    assert listing.requests == 1


def wait_for_workers() -> None:
    """Let the workers end; none goes on in the background."""
    for thread in threading.enumerate():
        if thread.name.startswith("toloka-pages"):
            thread.join(timeout=5)
            assert not thread.is_alive()


@pytest.fixture
def many(clock: Clock) -> Iterator[Emulator]:
    """Serve 3,000 projects, with a little latency so that requests overlap."""
    account = Account(clock)
    for number in range(3_000):
        account.add("projects", {"id": str(number * 7 + 1), "created": "2026-01-01T00:00:00"})
    with Emulator(account, latency=0.005) as api:
        yield api


def test_several_pages_are_read_at_once(many: Emulator) -> None:
    reading: list[int] = []
    most = 0

    def count(number: int, _resource: str) -> None:
        nonlocal most
        reading.append(number)
        most = max(most, sum(1 for request in many.requests if request.status is None))

    many.before_request = count
    with Client(many.base_url, "secret", connections=WORKERS) as client:
        pages = list(read_pages(client, PROJECTS, {}, WORKERS))
    assert sum(len(page.items) for page in pages) == 3_000
    assert most > 2


def test_the_rows_of_a_moving_account(many: Emulator, clock: Clock) -> None:
    def happen(_number: int, _resource: str) -> None:
        clock.advance(seconds=1)
        many.account.create_project()
        many.account.archive_project(many.account.ids("projects")[5])

    many.before_request = happen
    warehouse = Warehouse(many)
    warehouse.load()
    assert warehouse.count("projects") >= 3_000
    many.before_request = None
    clock.advance(hours=1)
    warehouse.load()
    assert [row["id"] for row in warehouse.rows("projects")] == many.account.ids("projects")
    warehouse.load(rescan_after_hours=0)
    assert_tables_equal_account(warehouse)


@pytest.mark.parametrize("at", [2, 3, 7, 10])
def test_an_error_ends_all_of_it_once(many: Emulator, at: int) -> None:
    many.fail(Fault.status(403), at=at)
    with Client(many.base_url, "secret", connections=WORKERS) as client, pytest.raises(errors.PermissionDeniedError):
        list(read_pages(client, PROJECTS, {}, WORKERS))
    wait_for_workers()
    assert len(many.requests) <= at + 2 * WORKERS


def test_one_answer_of_too_many_requests_slows_all(many: Emulator) -> None:
    many.fail(Fault.status(429, retry_after=1), at=6)
    times: list[float] = []
    many.before_request = lambda _number, _resource: times.append(time.monotonic())
    with Client(many.base_url, "secret", RetryPolicy(), connections=WORKERS) as client:
        pages = list(read_pages(client, PROJECTS, {}, WORKERS))
    assert sum(len(page.items) for page in pages) == 3_000
    pause = max(later - earlier for earlier, later in pairwise(times))
    assert pause > 0.8


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(400),  # no such order
        Fault.replace_page(lambda page: page | {"items": [{"id": "1"}]}),  # another order
        Fault.replace_page(lambda page: page | {"items": []}),
        Fault.replace_page(lambda page: page | {"items": [{"id": "x"}]}),
    ],
)
def test_a_server_without_that_order_is_read_in_order(
    many: Emulator, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    many.fail(fault, at=2)
    with Client(many.base_url, "secret", connections=WORKERS) as client:
        found = ids_of(read_pages(client, PROJECTS, {}, WORKERS))
    assert found == [int(number) for number in many.account.ids("projects")]
    said = [record for record in caplog.records if "one after the other" in record.message]
    assert len(said) == 1


def test_one_at_a_time_is_in_order(many: Emulator) -> None:
    with Client(many.base_url, "secret") as client:
        found = ids_of(read_pages(client, PROJECTS, {}, 1))
    assert found == [int(number) for number in many.account.ids("projects")]
    assert len(many.requests) == 10
    assert all(request.params["sort"] == "id" for request in many.requests)


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page | {"items": page["items"][::-1]},
        lambda page: page | {"items": page["items"] * 2},
        lambda page: page | {"items": [{"id": "99999999"}]},
        lambda page: page | {"items": [], "has_more": True},
    ],
)
def test_the_contract_holds_for_ranges_too(many: Emulator, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    many.fail(Fault.replace_page(change), at=5)
    with Client(many.base_url, "secret", connections=WORKERS) as client, pytest.raises(errors.ProtocolError):
        list(read_pages(client, PROJECTS, {}, WORKERS))


def test_a_reader_that_stops_early_leaves_nothing_running(many: Emulator) -> None:
    with Client(many.base_url, "secret", connections=WORKERS) as client:
        pages = read_pages(client, PROJECTS, {}, WORKERS)
        next(pages)
        next(pages)
        pages.close()  # type: ignore[attr-defined] # a generator
    wait_for_workers()


def test_no_worker_is_left_when_nobody_wants_more_pages(clock: Clock) -> None:
    account = Account(clock)
    for _ in range(300):
        account.create_project()
    with Emulator(account, latency=0.02) as api, Client(api.base_url, "secret", connections=WORKERS) as client:
        pages = read_pages(client, THREE_A_PAGE, {}, WORKERS)
        for _ in range(5):
            next(pages)
        assert [thread for thread in threading.enumerate() if thread.name.startswith("toloka-pages")]
        pages.close()  # type: ignore[attr-defined] # a generator
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("toloka-pages")]
