"""A requester's account: its projects and trainings, and the changes that happen to them."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any, Final, Self

from toloka_source.emulator import lifelike
from toloka_source.emulator.clock import Clock
from toloka_source.emulator.query import Query, select
from toloka_source.emulator.shelf import Shelf, decode

MISSING: Final = object()
"""Given as a field's value, it leaves the field out of the object."""


class Account:
    """The projects and trainings of one requester. Any thread may read and change it at any time.

    Everything it returns is a copy: only the methods change the account.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Start empty, on the system's clock unless another is given."""
        self.clock = clock or Clock()
        self._shelves = {"projects": Shelf(), "trainings": Shelf()}
        self._lock = RLock()

    @classmethod
    def lifelike(
        cls,
        projects: int = 1000,
        trainings: int | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        until: datetime | None = None,
    ) -> Self:
        """Return an account with about three years of history.

        Args:
            projects: How many projects.
            trainings: How many trainings; three for every four projects unless told.
            seed: The same arguments give the same objects.
            clock: The account's clock.
            until: Nothing in the account is younger; ten minutes before the clock's time unless told.
        """
        account = cls(clock)
        until = until or account.clock.now() - timedelta(minutes=10)
        if until.tzinfo is not None:
            until = until.astimezone(UTC).replace(tzinfo=None)
        if trainings is None:
            trainings = projects * 3 // 4
        made_projects, made_trainings = lifelike.history(projects, trainings, seed, until)
        account._fill("projects", made_projects)
        account._fill("trainings", made_trainings)
        return account

    @property
    def projects(self) -> list[dict[str, Any]]:
        """All projects in the order of their ids."""
        return self._all("projects")

    @property
    def trainings(self) -> list[dict[str, Any]]:
        """All trainings in the order of their ids."""
        return self._all("trainings")

    def ids(self, resource: str) -> list[str]:
        """Return the ids of all "projects" or "trainings" in their order."""
        with self._lock:
            return [str(number) for number in self._shelves[resource].ids]

    def get(self, resource: str, id_: str) -> dict[str, Any]:
        """Return one object; KeyError if there is none with that id."""
        with self._lock:
            return self._shelves[resource].get(id_)

    def add(self, resource: str, item: dict[str, Any]) -> None:
        """Put in an object just as it is; ValueError if its id is taken, or not a number in a string."""
        with self._lock:
            self._shelves[resource].add(item)

    def remove(self, resource: str, id_: str) -> None:
        """Take an object out, as one that the account no longer sees; KeyError if there is none."""
        with self._lock:
            self._shelves[resource].remove(id_)

    def create_project(self, **fields: object) -> dict[str, Any]:
        """Create a project now, with lifelike values for the fields not given."""
        with self._lock:
            id_ = self._new_id("projects")
            return self._create("projects", lifelike.project(_dice(id_), id_, "ACTIVE", self._now()), fields)

    def create_training(self, project_id: str, **fields: object) -> dict[str, Any]:
        """Create a training now, not started yet, with lifelike values for the fields not given."""
        with self._lock:
            id_ = self._new_id("trainings")
            made = lifelike.training(_dice(id_), id_, project_id, self._now(), {"status": "CLOSED"})
            return self._create("trainings", made, fields)

    def start_training(self, id_: str) -> dict[str, Any]:
        """Open a training now, for the first time or again."""
        return self.edit_training(id_, status="OPEN", last_started=self._stamp())

    def close_training(self, id_: str, reason: str = "MANUAL") -> dict[str, Any]:
        """Close a training now."""
        return self.edit_training(id_, status="CLOSED", last_stopped=self._stamp(), last_close_reason=reason)

    def archive_training(self, id_: str) -> dict[str, Any]:
        """Archive a training: nothing but its status tells."""
        return self.edit_training(id_, status="ARCHIVED")

    def archive_project(self, id_: str) -> dict[str, Any]:
        """Archive a project: nothing but its status tells."""
        return self.edit_project(id_, status="ARCHIVED")

    def edit_project(self, id_: str, **fields: object) -> dict[str, Any]:
        """Change any fields of a project but its id."""
        return self._edit("projects", id_, fields)

    def edit_training(self, id_: str, **fields: object) -> dict[str, Any]:
        """Change any fields of a training but its id."""
        return self._edit("trainings", id_, fields)

    def page(self, resource: str, query: Query) -> bytes:
        """Return the answer to a list request, as JSON."""
        with self._lock:
            entries, has_more = select(self._shelves[resource], query)
        items = b",".join(entry.json for entry in entries)
        return b'{"items":[%b],"has_more":%b}' % (items, b"true" if has_more else b"false")

    def _all(self, resource: str) -> list[dict[str, Any]]:
        with self._lock:
            entries = list(self._shelves[resource].entries)
        return [decode(entry) for entry in entries]

    def _fill(self, resource: str, items: Iterable[dict[str, Any]]) -> None:
        for item in items:
            self.add(resource, item)

    def _create(self, resource: str, made: dict[str, Any], fields: dict[str, object]) -> dict[str, Any]:
        _apply(made, fields)
        self.add(resource, made)
        return self.get(resource, made["id"])

    def _edit(self, resource: str, id_: str, fields: dict[str, object]) -> dict[str, Any]:
        with self._lock:
            return self._shelves[resource].edit(id_, lambda item: _apply(item, fields))

    def _new_id(self, resource: str) -> str:
        ids = self._shelves[resource].ids
        return str(ids[-1] + 1 if ids else 1)

    def _now(self) -> datetime:
        now = self.clock.now().replace(tzinfo=None)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _stamp(self) -> str:
        return lifelike.api_time(self._now())


def _apply(item: dict[str, Any], fields: dict[str, object]) -> None:
    for name, value in fields.items():
        if value is MISSING:
            item.pop(name, None)
        else:
            item[name] = value


def _dice(id_: str) -> random.Random:
    return random.Random(id_)  # noqa: S311 - sample data that has to be the same each time
