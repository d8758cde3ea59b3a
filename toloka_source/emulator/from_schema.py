"""Objects of a list for which nobody wrote lifelike ones: each column has a value of its type."""

from typing import Any

from toloka_source.catalog import schemas
from toloka_source.catalog.endpoint import Endpoint
from toloka_source.emulator.birth import Birth, Item
from toloka_source.emulator.fields import kept_fields
from toloka_source.emulator.lifelike import api_time, chance

_WORDS = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "gale", "heath")
_MISSING_SHARE = 0.2


def from_schema(endpoint: Endpoint, birth: Birth) -> Item:
    """Return an object, its fields in the API's order.

    Its first cursor is when it came to be, and all its times are that of an object that is new. What may be missing
    is so now and then in objects that are older.
    """
    always = {"id", *(cursor.name for cursor in endpoint.cursors if cursor.is_never_null)}
    first = endpoint.cursors[0].name if endpoint.cursors else None
    item: Item = {}
    columns = [(column.name, column) for column in endpoint.schema]
    for name, column in [*columns, *((name, None) for name in kept_fields(endpoint))]:
        if name not in always and not birth.is_new and chance(birth.rng, _MISSING_SHARE):
            continue
        if name == "id":
            value: Any = birth.id
        elif name == first:
            value = api_time(birth.created)
        else:
            value = _value(endpoint, birth, name, column)
        _put(item, name, value)
    return item


def _put(item: Item, name: str, value: object) -> None:
    parent, _, child = name.partition("__")
    if child:
        item.setdefault(parent, {})[child] = value
    else:
        item[name] = value


def _value(endpoint: Endpoint, birth: Birth, name: str, column: Any) -> Any:  # noqa: ANN401 - a field of Arrow's; JSON
    filters = [one for one in endpoint.filters.values() if one.field == name]
    choices = next((one.values for one in filters if one.values), ())
    if column is None or column.type == schemas.TIMESTAMP:
        return api_time(birth.later())
    if schemas.is_json(column):
        return birth.rng.sample(choices, birth.rng.randint(1, len(choices))) if choices else {"key": [_word(birth)]}
    if other := schemas.refers_to(column):
        return birth.some(other)["id"]
    if column.type == schemas.TEXT:
        is_number = any(one.kind == "number" for one in filters)
        return str(birth.rng.randrange(1000)) if is_number else birth.rng.choice(choices or _WORDS)
    if column.type == schemas.BOOLEAN:
        return chance(birth.rng, 0.5)
    return birth.rng.randrange(1000) if column.type == schemas.INTEGER else birth.rng.randrange(10_000) / 100


def _word(birth: Birth) -> str:
    return birth.rng.choice(_WORDS)
