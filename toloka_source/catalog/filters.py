"""The filters that the API documents for its lists, as data: the field that each looks at, and what it takes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from toloka_source.errors import ConfigurationError, check_choice
from toloka_source.times import format_time, parse_time

Kind = Literal["text", "number", "time", "flag"]
"""What a filter takes: any text, an id that is a decimal number, a time, or true and false."""

COMPARISONS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True)
class Filter:
    """A filter of a list.

    Attributes:
        field: What it looks at: a field of the objects, `a__b` for the field `b` of the object `a`. A field that holds
            several values matches if one of them does.
        comparison: One of `COMPARISONS`, "eq" or "ne".
        kind: What it takes.
        values: The only texts that it takes, if there are such.
        takes_several: Whether it takes several of them, with commas between.
    """

    field: str
    comparison: str = "eq"
    kind: Kind = "text"
    values: tuple[str, ...] = ()
    takes_several: bool = False

    def check(self, value: object, name: str) -> str:
        """Return what is sent for a value.

        Raises:
            ConfigurationError: The API doesn't take it; `name` is what the error calls the setting.
        """
        if self.values:
            for one in value.split(",") if self.takes_several and isinstance(value, str) else [value]:
                check_choice(name, one, self.values)
        return _CHECKS[self.kind](value, name)


def one_of(field: str, *values: str) -> dict[str, Filter]:
    """Return the filter of a field that has one of these values."""
    return {field: Filter(field, values=values)}


def equal(field: str, kind: Kind = "text") -> dict[str, Filter]:
    """Return the filter of a field."""
    return {field: Filter(field, kind=kind)}


def ranges(fields: Mapping[str, Kind]) -> dict[str, Filter]:
    """Return the four filters by range of each field."""
    return {f"{field}_{how}": Filter(field, how, kind) for field, kind in fields.items() for how in COMPARISONS}


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(name, value, "must be a text that isn't empty")
    return value


def _number(value: object, name: str) -> str:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch("[0-9]+", text):
        raise ConfigurationError(name, value, "must be an id, a decimal number")
    return text


def _time(value: object, name: str) -> str:
    return format_time(parse_time(value, name))


def _flag(value: object, name: str) -> str:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ConfigurationError(name, value, "must be true or false")
    return text


_CHECKS: Mapping[Kind, Callable[[object, str], str]] = MappingProxyType(
    {"text": _text, "number": _number, "time": _time, "flag": _flag}
)
