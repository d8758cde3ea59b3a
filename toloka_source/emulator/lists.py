"""All lists of one account: what is in them, and how anything in them changes."""

import random
from collections.abc import Iterable
from datetime import datetime
from threading import RLock
from typing import Any, Final

from toloka_source.emulator.birth import Birth
from toloka_source.emulator.clock import Clock
from toloka_source.emulator.fields import endpoint_of
from toloka_source.emulator.ids import new_id
from toloka_source.emulator.lifelike import api_time
from toloka_source.emulator.lifelike_lists import kind_of
from toloka_source.emulator.query import Query, parse, select
from toloka_source.emulator.shelf import Shelf, decode

MISSING: Final = object()
"""Given as a field's value, it leaves the field out of the object."""


class Lists:
    """Every list that the catalogue names, by its name there, such as "user_skills".

    Any thread may read and change them at any time. What is returned is a copy: only the methods change anything.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Start empty, on the system's clock unless another is given."""
        self.clock = clock or Clock()
        self._shelves: dict[str, Shelf] = {}
        self._lock = RLock()
        self._created = 0

    def objects(self, resource: str) -> list[dict[str, Any]]:
        """Return all objects of a list in the order of their ids; ValueError if there is no such list."""
        with self._lock:
            entries = list(self._shelf(resource).entries)
        return [decode(entry) for entry in entries]

    def ids(self, resource: str) -> list[str]:
        """Return the ids of all objects of a list in their order."""
        with self._lock:
            return [str(id_) for id_ in self._shelf(resource).ids]

    def get(self, resource: str, id_: str) -> dict[str, Any]:
        """Return one object; KeyError if there is none with that id."""
        with self._lock:
            return self._shelf(resource).get(id_)

    def add(self, resource: str, item: dict[str, Any]) -> None:
        """Put in an object just as it is; ValueError if its id is taken, or can't be one in this list.

        A field that the API filters by and doesn't send, such as `modified` of skills, is kept for the filters.
        """
        with self._lock:
            self._shelf(resource).add(item)

    def create(self, resource: str, **fields: object) -> dict[str, Any]:
        """Create an object now, with lifelike values for the fields not given."""
        with self._lock:
            shelf, now = self._shelf(resource), self._now()
            id_ = self._new_id(shelf, now)
            item = kind_of(shelf.endpoint).make(Birth(_dice(id_), id_, now, now, self._some))
            _apply(item, fields)
            shelf.add(item)
            return shelf.get(item["id"])

    def edit(self, resource: str, id_: str, **fields: object) -> dict[str, Any]:
        """Change any fields of an object but its id; no other field changes with them."""
        with self._lock:
            return self._shelf(resource).edit(id_, lambda item: _apply(item, fields))

    def delete(self, resource: str, id_: str) -> None:
        """Take an object out, as one that was deleted or that the account no longer sees; KeyError if there is none."""
        with self._lock:
            self._shelf(resource).remove(id_)

    def remove(self, resource: str, id_: str) -> None:
        """Do what `delete` does."""
        self.delete(resource, id_)

    def page(self, resource: str, query: Query) -> bytes:
        """Return the answer to a list request, as JSON."""
        with self._lock:
            entries, has_more = select(self._shelf(resource), query)
        items = b",".join(entry.json for entry in entries)
        return b'{"items":[%b],"has_more":%b}' % (items, b"true" if has_more else b"false")

    def _shelf(self, resource: str) -> Shelf:
        if resource not in self._shelves:
            self._shelves[resource] = Shelf(endpoint_of(resource))
        return self._shelves[resource]

    def _fill(self, resource: str, items: Iterable[dict[str, Any]]) -> None:
        for item in items:
            self.add(resource, item)

    def _some(self, rng: random.Random, resource: str) -> dict[str, Any] | None:
        """Return any object of a list, None if there is none."""
        entries = self._shelf(resource).entries
        return decode(rng.choice(entries)) if entries else None

    def _found(self, resource: str, **filters: str) -> list[dict[str, Any]]:
        """Return the first objects that some filters of the list match."""
        shelf = self._shelf(resource)
        entries, _ = select(shelf, parse(shelf.endpoint, filters.items()))
        return [decode(entry) for entry in entries]

    def _new_id(self, shelf: Shelf, now: datetime) -> str:
        while True:
            self._created += 1
            id_ = new_id(shelf.endpoint.ids, shelf.greatest_id, now, self._created)
            if not shelf.has(id_):
                return id_

    def _now(self) -> datetime:
        now = self.clock.now().replace(tzinfo=None)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _stamp(self) -> str:
        return api_time(self._now())


def _apply(item: dict[str, Any], fields: dict[str, object]) -> None:
    for name, value in fields.items():
        if value is MISSING:
            item.pop(name, None)
        else:
            item[name] = value


def _dice(id_: str) -> random.Random:
    return random.Random(id_)  # noqa: S311 - sample data that has to be the same each time
