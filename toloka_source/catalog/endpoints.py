"""The list endpoints of the API that are loaded: one entry each.

A new endpoint is one entry here and one schema in `schemas.py`; all other modules work on what these say.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

import pyarrow as pa

from toloka_source.catalog import schemas
from toloka_source.errors import ConfigurationError, check_choice
from toloka_source.times import format_time, parse_time

Check = Callable[[object, str], str]
"""Takes a filter's value and its name, returns what is sent; raises `ConfigurationError`."""

COMPARISONS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True)
class Endpoint:
    """A list of the API, and how its objects become rows.

    Attributes:
        name: The resource's and the table's name.
        path: The path under the API's base address.
        schema: The table's columns, see `schemas.py`.
        cursors: The time fields that tell of new and changed objects. The first is set once and never changes; the
            last is the cursor that the pipeline's state holds.
        filters: The filters that the API documents for the list, each with its check.
        page_size: The greatest `limit` that the API takes.
    """

    name: str
    path: str
    schema: pa.Schema
    cursors: tuple[str, ...]
    filters: Mapping[str, Check]
    page_size: int

    def check_filters(self, filters: Mapping[str, object]) -> dict[str, str]:
        """Return the filters as they are sent.

        Raises:
            ConfigurationError: A name that the API doesn't document for this list, or a value that it doesn't take.
        """
        for name in filters:
            if name not in self.filters:
                remedy = f"unknown; {self.name} can be filtered by {', '.join(self.filters)}"
                raise ConfigurationError(f"filters.{self.name}", name, remedy)
        return {name: self.filters[name](value, f"filters.{self.name}.{name}") for name, value in filters.items()}


def _one_of(*known: str) -> Check:
    def check(value: object, field: str) -> str:
        check_choice(field, value, known)
        return str(value)

    return check


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(field, value, "must be a text that isn't empty")
    return value


def _number(value: object, field: str) -> str:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch("[0-9]+", text):
        raise ConfigurationError(field, value, "must be an id, a decimal number")
    return text


def _time(value: object, field: str) -> str:
    return format_time(parse_time(value, field))


def _range(field: str, check: Check) -> dict[str, Check]:
    return {f"{field}_{comparison}": check for comparison in COMPARISONS}


PROJECTS = Endpoint(
    name="projects",
    path="projects",
    schema=schemas.PROJECTS,
    cursors=("created",),
    filters={
        "status": _one_of("ACTIVE", "ARCHIVED"),
        "owner": _text,
        **_range("id", _number),
        **_range("created", _time),
    },
    page_size=300,
)

TRAININGS = Endpoint(
    name="trainings",
    path="trainings",
    schema=schemas.TRAININGS,
    cursors=("created", "last_started"),
    filters={
        "status": _one_of("OPEN", "CLOSED", "LOCKED", "ARCHIVED"),
        "project_id": _number,
        **_range("id", _number),
        **_range("created", _time),
        **_range("last_started", _time),
    },
    page_size=300,
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({e.name: e for e in (PROJECTS, TRAININGS)})
"""All endpoints by name."""


class Filters(TypedDict, total=False):
    """For each list the filters that are set, by their names."""

    projects: Mapping[str, object]
    trainings: Mapping[str, object]
