"""The objects of one list, kept in the order of their ids and ready to be sent."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from toloka_source.catalog.endpoint import Endpoint
from toloka_source.emulator.fields import id_key, kept_fields, kinds, reader

_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as JSON, with what it can be filtered and sorted by next to it.

    Attributes:
        json: What is sent.
        values: In the order of the shelf's fields, the id first; None for no value, a tuple for several.
        kept: Fields that aren't sent: filters look at them.
    """

    json: bytes
    values: tuple[Any, ...]
    kept: dict[str, Any]

    @property
    def id(self) -> Any:  # noqa: ANN401 - a number or a text
        """What its id is compared by."""
        return self.values[0]


class Shelf:
    """Entries sorted by id. Not thread-safe: the account locks."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Start without entries."""
        self.endpoint = endpoint
        self.ids: list[Any] = []
        self.greatest_id: Any = None
        """The greatest one that there ever was, if any: what was deleted doesn't give its id to another object."""
        self.entries: list[Entry] = []
        self._kept = kept_fields(endpoint)
        fields = {field: kind for field, kind in kinds(endpoint).items() if field != "id"}
        self.places = {field: place for place, field in enumerate(["id", *fields])}
        self._readers = [reader(field, kind) for field, kind in fields.items()]

    def add(self, item: dict[str, Any]) -> None:
        """Put a new object in its place; ValueError if its id is taken or can't be one."""
        entry = self._entry(item)
        key = entry.id
        at = bisect_left(self.ids, key)
        if self.ids[at : at + 1] == [key]:
            raise ValueError(f"there is an object with id {key} already")
        self.ids.insert(at, key)
        self.entries.insert(at, entry)
        self.greatest_id = key if self.greatest_id is None else max(self.greatest_id, key)

    def remove(self, wanted: str) -> None:
        """Take an object out; KeyError if there is none."""
        at = self._place(wanted)
        del self.ids[at], self.entries[at]

    def get(self, wanted: str) -> dict[str, Any]:
        """Return a copy of an object; KeyError if there is none."""
        return decode(self.entries[self._place(wanted)])

    def has(self, wanted: str) -> bool:
        """Tell whether there is an object with this id."""
        key = id_key(self.endpoint, wanted)
        at = bisect_left(self.ids, key)
        return self.ids[at : at + 1] == [key]

    def edit(self, wanted: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Apply a change to an object and return a copy of it."""
        at = self._place(wanted)
        item = decode(self.entries[at]) | self.entries[at].kept
        change(item)
        entry = self._entry(item)
        if entry.id != self.ids[at]:
            raise ValueError("an id can't be changed")
        self.entries[at] = entry
        return decode(entry)

    def _place(self, wanted: str) -> int:
        if not self.has(wanted):
            raise KeyError(wanted)
        return bisect_left(self.ids, id_key(self.endpoint, wanted))

    def _entry(self, item: dict[str, Any]) -> Entry:
        values = (id_key(self.endpoint, item.get("id")), *[read(item) for read in self._readers])
        kept = {name: item[name] for name in self._kept if name in item}
        sent = {name: value for name, value in item.items() if name not in kept} if kept else item
        return Entry(msgspec.json.encode(sent), values, kept or _NOTHING)


def decode(entry: Entry) -> dict[str, Any]:
    """Return a fresh copy of an entry's object."""
    return msgspec.json.decode(entry.json, type=dict[str, Any])
