"""The ids of new objects: numbers, ObjectIds, UUIDs."""

import random
from datetime import UTC, datetime
from uuid import UUID

from toloka_source.catalog.endpoint import Ids


def new_id(ids: Ids, greatest: int | None, now: datetime, number: int) -> str:
    """Return an id for an object that comes to be now.

    Args:
        ids: What the list's ids are.
        greatest: The greatest number that there ever was in the list, if any: numbers go on from there.
        now: The time, with which ObjectIds rise. UUIDs are random: new ones are anywhere among the others.
        number: How many objects were made before: no two ids are the same.
    """
    rng = random.Random(number)  # noqa: S311 - sample data that has to be the same each time
    if ids == "decimal":
        return str(1 if greatest is None else greatest + 1)
    if ids == "uuid" or (ids == "mixed" and number % 2):
        return uuid(rng)
    return object_id(now, number)


def object_id(at: datetime, number: int) -> str:
    """Return an ObjectId: the seconds, five bytes of the machine's, three that count."""
    return f"{int(at.replace(tzinfo=UTC).timestamp()):08x}a451956b21{number % 2**24:06x}"


def uuid(rng: random.Random) -> str:
    """Return a random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))
