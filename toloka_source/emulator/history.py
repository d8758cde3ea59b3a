"""The history of an account: objects of all lists that belong to its projects and trainings."""

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from math import ceil

from toloka_source import catalog
from toloka_source.catalog.endpoint import Endpoint
from toloka_source.emulator.birth import Birth, Item
from toloka_source.emulator.fields import endpoint_of
from toloka_source.emulator.ids import object_id, uuid
from toloka_source.emulator.lifelike import YEARS, growing_ids, growing_times
from toloka_source.emulator.lifelike_lists import LIFELIKE, Kind, kind_of

_OWN_ARGUMENTS = ("projects", "trainings")
_TRIES = 50


def how_many(others: Mapping[str, int] | bool, projects: int) -> dict[str, int]:  # noqa: FBT001 - as the user gave it
    """Return how many objects there are to be of the other lists, in the order in which they can be made.

    Args:
        others: Whether there are any; or how many of each list.
        projects: How many projects there are: that suggests the rest.
    """
    if isinstance(others, Mapping):
        for name in others:
            if endpoint_of(name).name in _OWN_ARGUMENTS:
                raise ValueError(f"{name} are an argument of their own, not one of the others")
        counts = dict(others)
    else:
        names = [name for name in catalog.ENDPOINTS if others and name not in _OWN_ARGUMENTS]
        counts = {name: ceil(projects * kind_of(endpoint_of(name)).share) for name in names}
    known = [name for name in LIFELIKE if name in counts]
    return {name: counts[name] for name in dict.fromkeys([*known, *counts])}


class History:
    """What came to be in an account, list by list."""

    def __init__(self, seed: int, until: datetime, before: Mapping[str, Sequence[Item]]) -> None:
        """Begin with the objects of some lists.

        Args:
            seed: The same one gives the same objects.
            until: Nothing is younger.
            before: Projects and trainings.
        """
        self._seed = seed
        self._until = until
        self._born: dict[str, list[tuple[datetime, Item]]] = {
            name: sorted(((datetime.fromisoformat(item["created"]), item) for item in items), key=_time)
            for name, items in before.items()
        }

    def make(self, resource: str, count: int) -> list[Item]:
        """Make the objects of a list, in the order in which they came to be; ValueError without those it belongs to."""
        endpoint = endpoint_of(resource)
        kind = kind_of(endpoint)
        rng = random.Random(f"{self._seed} {resource}")  # noqa: S311 - sample data that has to be the same each time
        times = self._times(rng, resource, kind.parent, count)
        born = self._born[resource] = []
        seen: set[tuple[object, ...]] = set()
        for id_, created in zip(_ids(endpoint, rng, times), times, strict=True):
            birth = Birth(rng, id_, created, self._until, partial(self._pick, created))
            item = _unlike(seen, kind, birth)
            if item is not None:
                born.append((created, item))
        return [item for _, item in born]

    def _times(self, rng: random.Random, resource: str, parent: str | None, count: int) -> list[datetime]:
        start = self._until - YEARS
        if parent is not None and count:
            if not self._born.get(parent):
                raise ValueError(f"there are no {parent} that {resource} could belong to: ask for some, too")
            start = self._born[parent][0][0]
        exact = (start + (self._until - start) * rng.random() for _ in range(count))
        return [max(at, start) for at in growing_times(rng, exact)]

    def _pick(self, at: datetime, rng: random.Random, resource: str) -> Item | None:
        born = self._born.get(resource, [])
        there = bisect_right(born, at, key=_time)
        return born[rng.randrange(there)][1] if there else None


def _unlike(seen: set[tuple[object, ...]], kind: Kind, birth: Birth) -> Item | None:
    """Return an object that is unlike all others in its unique fields; None if there seems to be none left."""
    for _ in range(_TRIES):
        item = kind.make(birth)
        mark = tuple(item[name] for name in kind.unique)
        if mark not in seen:
            if mark:
                seen.add(mark)
            return item
    return None


def _time(born: tuple[datetime, Item]) -> datetime:
    return born[0]


def _ids(endpoint: Endpoint, rng: random.Random, times: Sequence[datetime]) -> Iterator[str]:
    if endpoint.ids == "decimal":
        yield from growing_ids(rng, len(times), first=31, last=60_000_000)
        return
    for number, created in enumerate(times):
        is_uuid = endpoint.ids == "uuid" or (endpoint.ids == "mixed" and rng.randrange(2))
        yield uuid(rng) if is_uuid else object_id(created, number)
