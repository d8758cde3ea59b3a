"""The objects of one kind, kept in the order of their ids and ready to be sent."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as JSON, with what it can be filtered and sorted by next to it."""

    id: int
    json: bytes
    created: datetime | None
    last_started: datetime | None
    status: str | None
    owner: str | None
    project_id: str | None
    public_name: str | None
    private_comment: str | None

    @classmethod
    def of(cls, item: dict[str, Any]) -> "Entry":
        """Read an object; a field that is absent or odd is None, and no filter on it matches."""
        owner = item.get("owner")
        return cls(
            id=number(item.get("id")),
            json=msgspec.json.encode(item),
            created=_time(item.get("created")),
            last_started=_time(item.get("last_started")),
            status=_text(item.get("status")),
            owner=_text(owner.get("id")) if isinstance(owner, dict) else None,
            project_id=_text(item.get("project_id")),
            public_name=_text(item.get("public_name")),
            private_comment=_text(item.get("private_comment")),
        )


class Shelf:
    """Entries sorted by id. Not thread-safe: the account locks."""

    def __init__(self) -> None:
        """Start without entries."""
        self.ids: list[int] = []
        self.entries: list[Entry] = []

    def add(self, item: dict[str, Any]) -> None:
        """Put a new object in its place; ValueError if its id is taken or no number."""
        entry = Entry.of(item)
        at = bisect_left(self.ids, entry.id)
        if self.ids[at : at + 1] == [entry.id]:
            raise ValueError(f"there is an object with id {entry.id} already")
        self.ids.insert(at, entry.id)
        self.entries.insert(at, entry)

    def remove(self, wanted: str) -> None:
        """Take an object out; KeyError if there is none."""
        at = self._place(wanted)
        del self.ids[at], self.entries[at]

    def get(self, wanted: str) -> dict[str, Any]:
        """Return a copy of an object; KeyError if there is none."""
        return decode(self.entries[self._place(wanted)])

    def edit(self, wanted: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Apply a change to an object and return a copy of it."""
        at = self._place(wanted)
        item = decode(self.entries[at])
        change(item)
        entry = Entry.of(item)
        if entry.id != self.ids[at]:
            raise ValueError("an id can't be changed")
        self.entries[at] = entry
        return decode(entry)

    def _place(self, wanted: str) -> int:
        sought = number(wanted)
        at = bisect_left(self.ids, sought)
        if self.ids[at : at + 1] != [sought]:
            raise KeyError(wanted)
        return at


def decode(entry: Entry) -> dict[str, Any]:
    """Return a fresh copy of an entry's object."""
    return msgspec.json.decode(entry.json, type=dict[str, Any])


def number(text: object) -> int:
    """Return the number that an id stands for; ValueError if it is not one."""
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(f"an id is a string of decimal digits, not {text!r}")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at.astimezone(UTC).replace(tzinfo=None) if at and at.tzinfo else at
