"""What is to be said of a list of the API, so that all other modules work on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from toloka_source.catalog.filters import Filter
from toloka_source.errors import ConfigurationError

Ids = Literal["decimal", "object_id", "uuid", "mixed"]
"""What a list's ids are: numbers in decimal; 24 hexadecimal digits; UUIDs; or several of these."""


@dataclass(frozen=True)
class Cursor:
    """A time of the objects that tells of new and changed ones, by the API's filters `<name>_gt` and so on.

    Attributes:
        name: The field's name.
        is_never_null: Whether each object has it: only then does a query by it lose none.
        is_column: Whether the objects that the API sends have the field; else there is the filter alone.
    """

    name: str
    is_never_null: bool = False
    is_column: bool = True


@dataclass(frozen=True)
class Endpoint:
    """A list of the API, and how its objects become rows.

    Attributes:
        name: The resource's and the table's name.
        path: The path under the API's base address.
        nouns: What one of its objects is called, and several.
        schema: The table's columns, see `schemas.py`.
        ids: What its ids are: it decides in which order they are, and how pages are read side by side.
        cursors: The times that tell of new and changed objects. The first is when an object came to be: none of its
            other times is earlier. Without any the list is read whole each time.
        filters: The filters that the API documents for the list, by the names of its parameters.
        sort_keys: What it can be sorted by, upwards or with a `-` downwards.
        greatest_limit: The greatest `limit` that the API takes.
        page_size: The `limit` that is asked for.
        is_default: Whether it is loaded unless other lists are asked for.
        can_be_deleted: Whether its objects can be deleted.
    """

    name: str
    path: str
    nouns: tuple[str, str]
    schema: pa.Schema
    ids: Ids
    cursors: tuple[Cursor, ...]
    filters: Mapping[str, Filter]
    sort_keys: tuple[str, ...]
    greatest_limit: int
    page_size: int
    is_default: bool = False
    can_be_deleted: bool = False

    def check_filters(self, filters: Mapping[str, object]) -> dict[str, str]:
        """Return the filters as they are sent.

        Raises:
            ConfigurationError: A name that the API doesn't document for this list, or a value that it doesn't take.
        """
        for name in filters:
            if name not in self.filters:
                remedy = f"unknown; {self.name} can be filtered by {', '.join(self.filters)}"
                raise ConfigurationError(f"filters.{self.name}", name, remedy)
        return {name: self.filters[name].check(value, f"filters.{self.name}.{name}") for name, value in filters.items()}
