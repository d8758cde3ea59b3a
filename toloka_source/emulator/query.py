"""What a list request asks for: its parameters checked, and the objects picked."""

import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from toloka_source.emulator.shelf import Entry, Shelf, number

DEFAULT_LIMIT = 50
MAX_LIMIT = 300

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True)
class Rules:
    """The parameters that one list knows."""

    sort_keys: tuple[str, ...]
    statuses: tuple[str, ...]
    times: tuple[str, ...]
    equal: str


RULES = {
    "projects": Rules(
        sort_keys=("id", "created", "public_name", "private_comment"),
        statuses=("ACTIVE", "ARCHIVED"),
        times=("created",),
        equal="owner",
    ),
    "trainings": Rules(
        sort_keys=("id", "created", "last_started"),
        statuses=("OPEN", "CLOSED", "ARCHIVED", "LOCKED"),
        times=("created", "last_started"),
        equal="project_id",
    ),
}


class InvalidParameterError(ValueError):
    """A parameter that the API would refuse."""

    def __init__(self, name: str, message: str) -> None:
        """Say which parameter, and what is wrong with it."""
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass
class Query:
    """A list request that is in order."""

    limit: int = DEFAULT_LIMIT
    sort: list[tuple[str, bool]] = field(default_factory=list)
    """Keys, most important first, and whether each is descending."""
    ids: list[tuple[str, int]] = field(default_factory=list)
    filters: list[tuple[str, Callable[[Any, Any], bool], object]] = field(default_factory=list)


def parse(resource: str, params: Iterable[tuple[str, str]]) -> Query:
    """Read a request's parameters; InvalidParameterError for the first one that is wrong."""
    rules = RULES[resource]
    query = Query()
    seen = set()
    for name, value in params:
        if name in seen:
            raise InvalidParameterError(name, "given more than once")
        seen.add(name)
        try:
            _read(rules, query, name, value)
        except ValueError as error:
            raise InvalidParameterError(name, str(error)) from None
    return query


def _read(rules: Rules, query: Query, name: str, value: str) -> None:
    attribute, _, operation = name.rpartition("_")
    if name == "limit":
        query.limit = _limit(value)
    elif name == "sort":
        query.sort = [_sort_key(rules, key) for key in value.split(",")]
    elif name == "status":
        query.filters.append((name, operator.eq, _status(rules, value)))
    elif name == rules.equal:
        if name.endswith("_id"):
            number(value)
        query.filters.append((name, operator.eq, value))
    elif attribute == "id" and operation in _OPERATORS:
        query.ids.append((operation, number(value)))
    elif attribute in rules.times and operation in _OPERATORS:
        query.filters.append((attribute, _OPERATORS[operation], _date(value)))
    else:
        raise ValueError("unknown parameter")


def _limit(value: str) -> int:
    if value.isascii() and value.isdigit() and 1 <= int(value) <= MAX_LIMIT:
        return int(value)
    raise ValueError(f"must be a whole number from 1 to {MAX_LIMIT}")


def _sort_key(rules: Rules, key: str) -> tuple[str, bool]:
    name = key.removeprefix("-")
    if name in rules.sort_keys:
        return name, key.startswith("-")
    raise ValueError(f"can't sort by {name!r}, only by {', '.join(rules.sort_keys)}")


def _status(rules: Rules, value: str) -> str:
    if value in rules.statuses:
        return value
    raise ValueError(f"must be one of {', '.join(rules.statuses)}")


def _date(value: str) -> datetime:
    if _DATE.fullmatch(value):
        return datetime.fromisoformat(value)
    raise ValueError("must be a UTC time without a zone: YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.ffffff]")


def select(shelf: Shelf, query: Query) -> tuple[list[Entry], bool]:
    """Return the page of entries that the query asks for, and whether more would follow."""
    matching = (entry for entry in _between(shelf, query) if _matches(entry, query))
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
            found.sort(key=_sortable(key), reverse=descending)
    return found[: query.limit], len(found) > query.limit


def _between(shelf: Shelf, query: Query) -> Sequence[Entry]:
    start, end = 0, len(shelf.ids)
    for operation, bound in query.ids:
        if operation == "gt":
            start = max(start, bisect_right(shelf.ids, bound))
        elif operation == "gte":
            start = max(start, bisect_left(shelf.ids, bound))
        elif operation == "lt":
            end = min(end, bisect_left(shelf.ids, bound))
        else:
            end = min(end, bisect_right(shelf.ids, bound))
    chosen = shelf.entries[start:end]
    if query.sort[:1] == [("id", True)]:
        chosen.reverse()
    return chosen


def _matches(entry: Entry, query: Query) -> bool:
    for attribute, compare, bound in query.filters:
        value = getattr(entry, attribute)
        if value is None or not compare(value, bound):
            return False
    return True


def _sortable(key: str) -> Callable[[Entry], tuple[bool, Any]]:
    def value_of(entry: Entry) -> tuple[bool, Any]:
        value = getattr(entry, key)
        # Objects without the value come first.
        return (value is not None, value)

    return value_of
