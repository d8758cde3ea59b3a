"""One list of the API, ready to be sent: a page is a search by bisection and a join of bytes."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

PAGE_SIZE = 50
GREATEST_PAGE_SIZE = 300

_TIMES = ("created", "last_started")
_COMPARISONS = ("gt", "gte", "lt", "lte")
_ENCODE = msgspec.json.Encoder().encode

Filter = tuple[str, str, str]
"""Field, comparison, value."""


class Listing:
    """The objects of one list, sorted by id."""

    def __init__(self, items: Sequence[Mapping[str, Any]], rendered: dict[int, bytes]) -> None:
        """Render every object once.

        Args:
            items: The objects.
            rendered: What is rendered already, by the identity of an object; what isn't is added.
        """
        items = sorted(items, key=lambda item: int(item["id"]))
        self._ids = [int(item["id"]) for item in items]
        self._json = [rendered.get(id(item)) or rendered.setdefault(id(item), _ENCODE(item)) for item in items]
        self._in_order = {field: _in_order(items, field) for field in _TIMES}
        # the pages of one pass share their filters
        self._chosen = lru_cache(maxsize=64)(self._choose)

    def page(self, parameters: Mapping[str, str]) -> bytes:
        """Answer a request.

        Raises:
            ValueError: A parameter that is unknown or can't be understood.
        """
        rest = dict(parameters)
        limit = int(rest.pop("limit", PAGE_SIZE))
        sort = rest.pop("sort", "id")
        if not 1 <= limit <= GREATEST_PAGE_SIZE or sort not in ("id", "-id"):
            raise ValueError("limit or sort")
        ids = [(name, int(rest.pop(f"id_{name}"))) for name in _COMPARISONS if f"id_{name}" in rest]
        places = self._chosen(tuple(_filter(name, value) for name, value in sorted(rest.items())))
        start, end = 0, len(places)
        for comparison, bound in ids:
            start, end = _narrow(places, self._ids.__getitem__, (start, end), comparison, bound)
        first, last = (start, min(end, start + limit)) if sort == "id" else (max(start, end - limit), end)
        page = places[first:last] if sort == "id" else places[first:last][::-1]
        has_more = b"true" if len(page) < end - start else b"false"
        return b'{"items":[%b],"has_more":%b}' % (b",".join([self._json[place] for place in page]), has_more)

    def _choose(self, filters: tuple[Filter, ...]) -> Sequence[int]:
        """Return the places of the objects that pass the filters on times, in the order of ids."""
        by_field: dict[str, Sequence[int]] = {}
        for field in {field for field, _, _ in filters}:
            moments, places = self._in_order[field]
            bounds = 0, len(moments)
            for name, comparison, value in filters:
                if name == field:
                    moment = datetime.fromisoformat(value)
                    bounds = _narrow(moments, None, bounds, comparison, moment)
            by_field[field] = places[slice(*bounds)]
        if not by_field:
            return range(len(self._ids))
        fewest, *others = sorted(by_field.values(), key=len)
        return sorted(set(fewest).intersection(*others))


def _in_order(items: Sequence[Mapping[str, Any]], field: str) -> tuple[list[datetime], list[int]]:
    """Return the times of the objects that have the field, in their order, and the objects' places."""
    dated = sorted((datetime.fromisoformat(item[field]), place) for place, item in enumerate(items) if field in item)
    return [moment for moment, _ in dated], [place for _, place in dated]


def _filter(name: str, value: str) -> Filter:
    field, _, comparison = name.rpartition("_")
    if field not in _TIMES or comparison not in _COMPARISONS:
        raise ValueError(name)
    return field, comparison, value


def _narrow(values: Sequence[Any], key: Any, bounds: tuple[int, int], comparison: str, bound: Any) -> tuple[int, int]:
    """Return the part of a sorted sequence, within the bounds, that compares so."""
    start, end = bounds
    bisect = bisect_right if comparison in ("gt", "lte") else bisect_left
    place = bisect(values, bound, start, end, key=key)
    return (place, end) if comparison.startswith("g") else (start, place)
