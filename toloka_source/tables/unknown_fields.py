"""Fields that the schema doesn't know: a JSON column for each of the first ones, one column for all others.

PostgreSQL takes no more than 1,600 columns, ever: one that is dropped counts too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec
import pyarrow as pa

from toloka_source.api.client import Item
from toloka_source.catalog import schemas

MOST_COLUMNS = 200

MORE_FIELDS = "_toloka_more_fields"
"""The column of all others: an object of them."""


class FieldPlace(NamedTuple):
    """Where a value stands in an object: in a field of it, or in a field of an object in it."""

    parent: str | None
    name: str

    @property
    def column(self) -> str:
        """Its column, if nothing else has that name."""
        return self.name if self.parent is None else f"{self.parent}__{self.name}"


def unknown_columns(
    unknown: Iterable[FieldPlace], schema: pa.Schema, normalize: Callable[[str], str], there: Collection[str]
) -> tuple[dict[FieldPlace, pa.Field], list[FieldPlace]]:
    """Give fields that the schema doesn't know a column with a name that nothing else has.

    Args:
        unknown: The fields.
        schema: The endpoint's columns.
        normalize: Makes a column's name of a field's name.
        there: The columns that the table has of such fields already.

    Returns:
        The columns, and the fields that have none because there are so many.
    """
    taken = {normalize(name) for name in (*schema.names, *schemas.VERSION.names, MORE_FIELDS)}
    names = {place: normalize(place.column) if place.column else "" for place in unknown}
    # a field that needs no other name comes before those that do
    for place in sorted(names, key=lambda place: (names[place] != place.column, place.column, place.name)):
        if not names[place] or names[place] in taken or names[place].startswith(("_dlt", "_toloka")):
            digest = crc32(repr(tuple(place)).encode())
            names[place] = normalize(f"field_{names[place].strip('_')}_{digest:08x}")
        taken.add(names[place])
    ordered = sorted(names, key=lambda place: names[place])
    new = [place for place in ordered if names[place] not in there]
    more = dict.fromkeys(new[max(0, MOST_COLUMNS - len(there)) :])
    return {place: schemas.unknown_column(names[place]) for place in ordered if place not in more}, list(more)


def more_fields(
    places: Iterable[FieldPlace], objects: Mapping[str | None, Sequence[Item]]
) -> Sequence[Mapping[str, msgspec.Raw | Mapping[str, msgspec.Raw]]]:
    """Return those fields of each object that have no column.

    Args:
        places: The fields.
        objects: The objects, and by the name of a field the objects in it.
    """
    names: dict[str | None, set[str]] = {}
    for place in places:
        names.setdefault(place.parent, set()).add(place.name)
    found: list[dict[str, msgspec.Raw | Mapping[str, msgspec.Raw]]] = [{} for _ in objects[None]]
    for parent, wanted in names.items():
        for fields, item in zip(found, objects[parent], strict=True):
            kept = {name: item[name] for name in sorted(wanted & item.keys())}
            if kept:
                fields.update(kept if parent is None else {parent: kept})
    return found
