"""What a list's objects are filtered and sorted by: the values in their fields, and those that a request names."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from toloka_source import catalog
from toloka_source.catalog import schemas
from toloka_source.catalog.endpoint import Endpoint
from toloka_source.catalog.filters import Filter, Kind

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?")


def endpoint_of(resource: str) -> Endpoint:
    """Return a list's entry in the catalogue, as it is now; ValueError if there is no such list."""
    try:
        return catalog.ENDPOINTS[resource]
    except KeyError:
        raise ValueError(f"there is no list of {resource!r}, only of {', '.join(catalog.ENDPOINTS)}") from None


def resource_at(path: str) -> str | None:
    """Return the name of the list that is at a path, None if there is none."""
    return next((endpoint.name for endpoint in catalog.ENDPOINTS.values() if endpoint.path == path), None)


def kinds(endpoint: Endpoint) -> dict[str, Kind]:
    """Return each field that the list can be filtered or sorted by, and what it holds."""
    found = {key: _kind_of_column(endpoint, key) for key in endpoint.sort_keys}
    found |= {one.field: one.kind for one in endpoint.filters.values()}
    return found | {"id": "number" if endpoint.ids == "decimal" else "text"}


def kept_fields(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the fields that the account has with an object and doesn't send: there are filters on them alone."""
    return tuple(cursor.name for cursor in endpoint.cursors if not cursor.is_column)


def id_key(endpoint: Endpoint, id_: object) -> Any:  # noqa: ANN401 - a number or a text, as the list's ids are
    """Return what an id is compared by; ValueError if it can't be one."""
    if endpoint.ids == "decimal":
        return number(id_)
    if isinstance(id_, str) and id_:
        return id_
    raise ValueError(f"an id is a text that isn't empty, not {id_!r}")


def number(text: object) -> int:
    """Return the number that an id stands for; ValueError if it is not one."""
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(f"an id is a string of decimal digits, not {text!r}")


def reader(field: str, kind: Kind) -> Callable[[Mapping[str, Any]], Any]:
    """Return what finds a field's value in an object.

    It is None where the field is absent or odd, so that no filter matches, and a tuple where there are several.
    """
    path, read = field.split("__"), _VALUES[kind]

    def value_of(item: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of any kind
        found: Any = item
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list):
            return tuple(value for one in found if (value := read(one)) is not None)
        return read(found)

    return value_of


def named_values(one: Filter, kind: Kind, text: str) -> list[Any]:
    """Return the values that a request names for a filter; ValueError if the API would refuse one."""
    named = text.split(",") if one.takes_several else [text]
    for value in named:
        if one.values and value not in one.values:
            raise ValueError(f"must be one of {', '.join(one.values)}")
    return [_NAMED[kind](value) for value in named]


def _kind_of_column(endpoint: Endpoint, name: str) -> Kind:
    column = endpoint.schema.field(name).type if name in endpoint.schema.names else schemas.TEXT
    by_type: dict[Any, Kind] = {schemas.TEXT: "text", schemas.TIMESTAMP: "time", schemas.BOOLEAN: "flag"}
    return by_type.get(column, "number")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return number(value)
    except ValueError:
        return None


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at.astimezone(UTC).replace(tzinfo=None) if at and at.tzinfo else at


def _named_time(value: str) -> datetime:
    if _DATE.fullmatch(value):
        return datetime.fromisoformat(value)
    raise ValueError("must be a UTC time without a zone: YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.ffffff]")


def _named_flag(value: str) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("must be true or false")


_VALUES: Mapping[Kind, Callable[[object], Any]] = MappingProxyType(
    {"text": _text, "number": _number, "time": _time, "flag": _flag}
)
_NAMED: Mapping[Kind, Callable[[str], Any]] = MappingProxyType(
    {"text": str, "number": number, "time": _named_time, "flag": _named_flag}
)
