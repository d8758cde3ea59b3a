"""The ids of a list: how they are ordered, and as numbers, with which ranges of them can be computed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from toloka_source.catalog.endpoint import Ids
from toloka_source.scan.lanes import is_number

_MOST_DIGITS = 100
"""A range's end may have so many: its square is still a number to `float`."""


@dataclass(frozen=True)
class Numbers:
    """Ids that stand for numbers, in the order of which the API sorts them.

    Attributes:
        of: Returns an id's number, None if it has none.
        text: Returns the id of a number.
    """

    of: Callable[[str], int | None]
    text: Callable[[int], str]


def _decimal(item_id: str) -> int | None:
    return int(item_id) if is_number(item_id) and len(item_id) <= _MOST_DIGITS else None


def _hexadecimal(item_id: str) -> int | None:
    return int(item_id, 16) if re.fullmatch("[0-9a-f]{24}", item_id) else None


NUMBERS: Mapping[Ids, Numbers] = MappingProxyType(
    {"decimal": Numbers(_decimal, str), "object_id": Numbers(_hexadecimal, "{:024x}".format)}
)
"""For the kinds of ids that have them; nobody promises the order of others."""
