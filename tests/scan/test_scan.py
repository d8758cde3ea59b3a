"""The rules of windows, lanes and paging, tried on whatever comes to hypothesis' mind."""

import operator
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from toloka_source.api.client import Client, Page
from toloka_source.catalog import ENDPOINTS, Endpoint
from toloka_source.catalog.endpoint import Cursor, Ids
from toloka_source.catalog.endpoints import PROJECTS, TRAININGS
from toloka_source.catalog.filters import COMPARISONS
from toloka_source.errors import ProtocolError
from toloka_source.scan.lanes import do_overlap, lanes, narrow
from toloka_source.scan.pages import read_pages, scan
from toloka_source.times import format_time
from toloka_source.window import Window

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
_OPERATORS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}

# few different moments, so that objects meet the bounds often
moments = st.integers(0, 6_000).map(lambda number: START + timedelta(microseconds=number))
bounds = st.integers(0, 6).map(lambda number: START + timedelta(milliseconds=number))
ids = st.integers(0, 12).map(str) | st.integers(0, 10**30).map(str) | st.integers(0, 9).map(lambda id_: f"00{id_}")
items = st.fixed_dictionaries({"id": ids}, optional={"created": moments, "last_started": moments})
names = st.tuples(st.sampled_from(["id", "created", "last_started"]), st.sampled_from(COMPARISONS)).map("_".join)


@st.composite
def queries(draw: st.DrawFn) -> dict[str, str]:
    chosen = draw(st.sets(names, max_size=4))
    return {name: draw(ids if name.startswith("id") else bounds.map(format_time)) for name in chosen}


def is_match(item: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Tell whether the API's filters let an object through."""
    for name, bound in query.items():
        field, _, comparison = name.rpartition("_")
        if field not in item:
            return False
        limit = int(bound) if field == "id" else datetime.fromisoformat(bound).replace(tzinfo=UTC)
        if not _OPERATORS[comparison](int(item[field]) if field == "id" else item[field], limit):
            return False
    return True


@given(item=items, query=queries(), more=queries())
def test_a_narrowed_query_lets_through_what_both_let_through(
    item: dict[str, Any], query: dict[str, str], more: dict[str, str]
) -> None:
    assert is_match(item, narrow(query, more)) == (is_match(item, query) and is_match(item, more))


@given(
    item=items,
    endpoint=st.sampled_from([PROJECTS, TRAININGS]),
    start=st.none() | bounds,
    end=st.none() | bounds,
    filters=queries(),
)
def test_lanes_cover_the_window_and_do_not_overlap(
    item: dict[str, Any], endpoint: Endpoint, start: datetime | None, end: datetime | None, filters: dict[str, str]
) -> None:
    found = [is_match(item, query) for query in lanes(endpoint, Window(start, end), filters)]
    assert sum(found) <= 1
    # every object has been created, and nothing starts before it is
    assume("created" in item and item.get("last_started", item["created"]) >= item["created"])
    times = [item[cursor.name] for cursor in endpoint.cursors if cursor.name in item]
    is_in_window = any((start is None or time > start) and (end is None or time <= end) for time in times)
    # what was created later belongs to a later window, and so does all that happened to it
    assert any(found) == (is_in_window and is_match(item, filters))


@st.composite
def made_up_lists(draw: st.DrawFn) -> tuple[Endpoint, dict[str, Any]]:
    """Return a list with 0 to 6 cursors, and an object of it."""
    names = [f"time{number}" for number in range(draw(st.integers(0, 6)))]
    cursors = tuple(Cursor(name, is_never_null=draw(st.booleans())) for name in names)
    item = {cursor.name: draw(moments) for cursor in cursors if cursor.is_never_null or draw(st.booleans())}
    if names and names[0] in item:  # no time of an object is before it came to be
        item[names[0]] = min(item.values())
    return replace(PROJECTS, cursors=cursors), item


@given(made_up_lists(), st.none() | bounds, st.none() | bounds)
def test_lanes_of_any_cursors_cover_the_window(
    made_up: tuple[Endpoint, dict[str, Any]], start: datetime | None, end: datetime | None
) -> None:
    endpoint, item = made_up
    found = sum(is_match(item, query) for query in lanes(endpoint, Window(start, end), {}))
    assert found <= 1 or do_overlap(endpoint)
    times = [item[cursor.name] for cursor in endpoint.cursors if cursor.name in item]
    if not endpoint.cursors:
        assert found == 1
    elif start is None:
        # all that was there at the end, which a list can't tell whose objects may lack the time at which they came
        assert found == (end is None or not endpoint.cursors[0].is_never_null or min(times) <= end)
    else:
        first = [item[cursor.name] for cursor in endpoint.cursors[:1] if cursor.is_never_null]
        is_later = end is not None and any(time > end for time in first)
        assert bool(found) == (not is_later and any(time > start and (end is None or time <= end) for time in times))


def test_what_is_in_several_lanes_comes_once() -> None:
    cursors = (Cursor("created", is_never_null=True), Cursor("opened"), Cursor("closed"))
    pages = [([b'"1"', b'"2"'], False), ([b'"3"', b'"4"'], False), ([b'"4"', b'"5"', b"null"], False)]
    client = cast("Client", _Pages(pages))
    found = scan(client, replace(PROJECTS, cursors=cursors), Window(START), {})
    assert [bytes(item["id"]) for page in found for item in page.items] == [
        *(b'"1"', b'"2"', b'"3"', b'"4"', b'"5"', b"null")
    ]


@pytest.mark.parametrize(
    ("kind", "ids_", "is_in_order"),
    [
        ("object_id", ["643933af08583e0a19c2167e", "643933af08583e0a19c2167f"], True),
        ("object_id", ["643933af08583e0a19c2167f", "643933af08583e0a19c2167e"], False),
        ("object_id", ["643933af08583e0a19c2167f", "700000000000000000000000"], True),
        ("uuid", ["f7700135-c34a-4df0-ae55-d44081dea432", "07700135-c34a-4df0-ae55-d44081dea432"], True),
        ("mixed", ["f7700135-c34a-4df0-ae55-d44081dea432", "643933af08583e0a19c2167e", "9", "10"], True),
        ("mixed", ["643933af08583e0a19c2167e", "9", "643933af08583e0a19c2167e"], False),
    ],
)
def test_ids_of_each_kind_are_in_their_own_order(kind: Ids, ids_: list[str], *, is_in_order: bool) -> None:
    client = cast("Client", _Pages([(_json(ids_), False)]))
    with nullcontext() if is_in_order else pytest.raises(ProtocolError, match="came after"):
        list(read_pages(client, replace(PROJECTS, ids=kind), {}, workers=4))


@given(item=items, endpoint=st.sampled_from([PROJECTS, TRAININGS]), filters=queries())
def test_a_window_without_bounds_is_one_pass_over_everything(
    item: dict[str, Any], endpoint: Endpoint, filters: dict[str, str]
) -> None:
    (query,) = lanes(endpoint, Window(whole=True), filters)
    assert query == filters
    assert is_match(item, query) == is_match(item, filters)


class _Pages:
    """Stands in for the client: gives out pages as they are, whatever is asked."""

    def __init__(self, pages: list[tuple[list[bytes], bool]]) -> None:
        self.pages = iter(pages)
        self.queries: list[Mapping[str, str]] = []

    def get_page(self, _path: str, params: Mapping[str, str]) -> Page:
        self.queries.append(params)
        values, has_more = next(self.pages)
        return Page([{"id": msgspec.Raw(value)} for value in values], has_more, START)


def read(pages: list[tuple[list[bytes], bool]], query: Mapping[str, str] | None = None) -> list[list[bytes]]:
    """Return the values of `id` on each page."""
    client = cast("Client", _Pages(pages))
    return [[bytes(item["id"]) for item in page.items] for page in read_pages(client, PROJECTS, query or {})]


def _json(page: list[str]) -> list[bytes]:
    return [msgspec.json.encode(id_) for id_ in page]


@given(st.lists(st.lists(ids, max_size=3), min_size=1, max_size=4))
def test_pages_are_taken_only_if_ids_rise(pages: list[list[str]]) -> None:
    given_pages = [(_json(page), number < len(pages)) for number, page in enumerate(pages, 1)]
    numbers = [int(id_) for page in pages for id_ in page]
    is_rising = all(one < other for one, other in pairwise(numbers))
    if is_rising and all(pages[:-1]):
        assert read(given_pages) == [_json(page) for page in pages]
    else:
        with pytest.raises(ProtocolError):
            read(given_pages)


@given(
    st.lists(
        st.sampled_from([b'"a"', b'"b"', b"1", b"null", b'""', b'"-1"', b'"1\\n"', b'"\xff"', '"\u0661"'.encode()])
    )
)
def test_ids_that_are_no_numbers_never_make_a_loop(values: list[bytes]) -> None:
    endless = [(values, True)] * 3
    with pytest.raises(ProtocolError, match=r"has_more is true on a page without objects that have an id|came after"):
        read(endless)
    # beside others they are left to the ones who make rows of them
    assert read([([*values, b'"1"'], True), ([b'"2"', *values], False)]) == [[*values, b'"1"'], [b'"2"', *values]]


def test_ids_that_are_no_numbers_are_read_in_order() -> None:
    pages = [([b'"b"', b'"a"'], True), ([b'"10"', b'"x"'], True), ([b'"c"'], False)]
    assert read(pages) == [values for values, _ in pages]


@given(st.lists(st.lists(ids, min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_pass_ends_on_a_server_that_repeats_itself(pages: list[list[str]]) -> None:
    endless = [(_json(page), True) for page in pages] * 3
    with pytest.raises(ProtocolError, match="though sorted by id"):
        read(endless)


def test_each_page_is_asked_for_from_the_last_id_on() -> None:
    client = _Pages([([b'"9"', b'"10"'], True), ([b'"11"', b"null"], True), ([b'"12"'], False)])
    list(read_pages(cast("Client", client), PROJECTS, {"id_gt": "8", "status": "ACTIVE"}))
    always = {"sort": "id", "limit": "300", "status": "ACTIVE"}
    assert client.queries == [always | {"id_gt": id_} for id_ in ("8", "10", "11")]


def test_a_page_that_breaks_the_rules_is_not_handed_on() -> None:
    client = cast("Client", _Pages([([b'"1"'], True), ([b'"2"', b'"2"'], False)]))
    pages = read_pages(client, PROJECTS, {})
    next(pages)
    with pytest.raises(ProtocolError, match="projects: id '2' came after '2'"):
        next(pages)


def test_every_list_has_cursors_that_its_filters_know() -> None:
    for endpoint in ENDPOINTS.values():
        assert {f"{cursor.name}_{how}" for cursor in endpoint.cursors for how in COMPARISONS} <= set(endpoint.filters)
