"""What a list request asks for: its parameters checked, and the objects picked."""

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from toloka_source.catalog.endpoint import Endpoint
from toloka_source.catalog.filters import COMPARISONS, Kind
from toloka_source.emulator.fields import kinds, named_values
from toloka_source.emulator.shelf import Entry, Shelf

DEFAULT_LIMIT = 50

_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "gt": operator.lt,
        "gte": operator.le,
        "lt": operator.gt,
        "lte": operator.ge,
        "eq": operator.contains,
        "ne": operator.contains,
    }
)
"""What holds for a bound and a value, in this order, if the value matches; for "ne" if it doesn't."""

_Test = tuple[int, Callable[[Any, Any], bool], Any, bool]
"""Where a value is, what has to hold for the bound and it, the bound, and whether it has to hold or not to."""


class InvalidParameterError(ValueError):
    """A parameter that the API would refuse."""

    def __init__(self, name: str, message: str) -> None:
        """Say which parameter, and what is wrong with it."""
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class Condition(NamedTuple):
    """A filter and what it was given."""

    field: str
    comparison: str
    bound: Any
    """The value to compare with; the set of all values named for "eq" and "ne"."""


@dataclass
class Query:
    """A list request that is in order."""

    limit: int
    sort: list[tuple[str, bool]] = field(default_factory=list)
    """Keys, most important first, and whether each is descending."""
    ids: list[Condition] = field(default_factory=list)
    """Ranges of ids: the objects are in their order."""
    conditions: list[Condition] = field(default_factory=list)


def parse(endpoint: Endpoint, params: Iterable[tuple[str, str]]) -> Query:
    """Read a request's parameters; InvalidParameterError for the first one that is wrong."""
    query = Query(min(DEFAULT_LIMIT, endpoint.greatest_limit))
    fields = kinds(endpoint)
    seen = set()
    for name, value in params:
        if name in seen:
            raise InvalidParameterError(name, "given more than once")
        seen.add(name)
        try:
            _read(endpoint, fields, query, name, value)
        except ValueError as error:
            raise InvalidParameterError(name, str(error)) from None
    return query


def _read(endpoint: Endpoint, fields: Mapping[str, Kind], query: Query, name: str, value: str) -> None:
    if name == "limit":
        query.limit = _limit(endpoint, value)
    elif name == "sort":
        query.sort = [_sort_key(endpoint, key) for key in value.split(",")]
    elif name in endpoint.filters:
        condition = _condition(endpoint, fields, name, value)
        is_id_range = condition.field == "id" and condition.comparison in COMPARISONS
        (query.ids if is_id_range else query.conditions).append(condition)
    else:
        raise ValueError("unknown parameter")


def _limit(endpoint: Endpoint, value: str) -> int:
    if value.isascii() and value.isdigit() and 1 <= int(value) <= endpoint.greatest_limit:
        return int(value)
    raise ValueError(f"must be a whole number from 1 to {endpoint.greatest_limit}")


def _sort_key(endpoint: Endpoint, key: str) -> tuple[str, bool]:
    name = key.removeprefix("-")
    if name in endpoint.sort_keys:
        return name, key.startswith("-")
    raise ValueError(f"can't sort by {name!r}, only by {', '.join(endpoint.sort_keys)}")


def _condition(endpoint: Endpoint, fields: Mapping[str, Kind], name: str, value: str) -> Condition:
    one = endpoint.filters[name]
    named = named_values(one, fields[one.field], value)
    if one.comparison not in COMPARISONS:
        return Condition(one.field, one.comparison, frozenset(named))
    # of several bounds any may hold: the widest range
    return Condition(one.field, one.comparison, min(named) if one.comparison.startswith("gt") else max(named))


def select(shelf: Shelf, query: Query) -> tuple[list[Entry], bool]:
    """Return the page of entries that the query asks for, and whether more would follow."""
    matching: Iterable[Entry] = _between(shelf, query)
    if query.conditions:
        tests = [_test(shelf, one) for one in query.conditions]
        matching = (entry for entry in matching if _matches(entry, tests))
    if query.sort[:1] in ([], [("id", False)], [("id", True)]):
        # Ids are unique and the shelf is in their order: one object more than the page tells all.
        found = []
        for entry in matching:
            found.append(entry)
            if len(found) > query.limit:
                break
    else:
        found = list(matching)
        # Sorting is stable, so the least important key comes first; ids were in order before.
        for key, descending in reversed(query.sort):
            found.sort(key=_sortable(shelf.places[key]), reverse=descending)
    return found[: query.limit], len(found) > query.limit


def _between(shelf: Shelf, query: Query) -> Iterator[Entry]:
    start, end = 0, len(shelf.ids)
    for _, comparison, bound in query.ids:
        if comparison == "gt":
            start = max(start, bisect_right(shelf.ids, bound))
        elif comparison == "gte":
            start = max(start, bisect_left(shelf.ids, bound))
        elif comparison == "lt":
            end = min(end, bisect_left(shelf.ids, bound))
        else:
            end = min(end, bisect_right(shelf.ids, bound))
    chosen = range(start, end)
    return map(shelf.entries.__getitem__, chosen[::-1] if query.sort[:1] == [("id", True)] else chosen)


def _test(shelf: Shelf, one: Condition) -> _Test:
    return shelf.places[one.field], _HOLDS[one.comparison], one.bound, one.comparison != "ne"


def _matches(entry: Entry, tests: list[_Test]) -> bool:
    for place, compare, bound, wanted in tests:
        value = entry.values[place]
        if isinstance(value, tuple):
            found = any(compare(bound, one) for one in value)
        else:
            found = value is not None and compare(bound, value)
        if found is not wanted:
            return False
    return True


def _sortable(place: int) -> Callable[[Entry], tuple[bool, Any]]:
    def value_of(entry: Entry) -> tuple[bool, Any]:
        value = entry.values[place]
        # Objects without the value come first.
        return (value is not None, value)

    return value_of
