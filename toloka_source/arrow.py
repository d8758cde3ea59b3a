"""The only module that builds Arrow: objects of the API become a table with the endpoint's columns.

A column is decoded in one call: its raw values, joined to one JSON array. Nested values are never parsed. Only when a
column doesn't decode are its objects looked at one by one, and those that don't fit are handed back as rejected.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any
from zlib import crc32

import msgspec
import pyarrow as pa

from toloka_source import schemas
from toloka_source.client import Item

_Key = str | tuple[str, str]
"""A field of an object, or a field of an object in it: a name can't be mistaken for a path."""
_Row = dict[Any, msgspec.Raw]

_NULL = msgspec.Raw(b"null")
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_DECODERS: dict[pa.DataType, msgspec.json.Decoder[Any]] = {
    schemas.TEXT: msgspec.json.Decoder(list[str | None]),
    schemas.TIME: msgspec.json.Decoder(list[datetime | None]),
    schemas.WHOLE: msgspec.json.Decoder(list[_INT64 | None]),
    schemas.YES_NO: msgspec.json.Decoder(list[bool | None]),
}
_ID_DECODER = msgspec.json.Decoder(list[Annotated[str, msgspec.Meta(min_length=1)]])
_MISFITS = (msgspec.DecodeError, UnicodeDecodeError, pa.ArrowInvalid)


@dataclass(frozen=True)
class Rejected:
    """An object that doesn't fit its schema.

    Attributes:
        id: Its id, as JSON text, if it has one.
        field: The first field that doesn't fit.
        reason: Why.
        item: The whole object, as JSON text.
    """

    id: str | None
    field: str
    reason: str
    item: str


def to_table(
    items: Sequence[Item], schema: pa.Schema, normalize: Callable[[str], str] = str
) -> tuple[pa.Table, list[Rejected]]:
    """Build the table of some objects.

    Args:
        items: The objects.
        schema: The endpoint's columns, see `schemas.py`.
        normalize: Makes a column's name of a field's name, for fields that the schema doesn't know.

    Returns:
        The table: the schema's columns, then a JSON column for each unknown field; and the objects that are not in it
        because they don't fit. Each object is in one of the two.
    """
    try:
        return _build([_flatten(item, schema) for item in items], schema, normalize), []
    except _MISFITS:
        pass
    rows: list[_Row] = []
    rejected: list[Rejected] = []
    for item in items:
        fault = _fault(item, schema)
        if fault is None:
            rows.append(_flatten(item, schema))
        else:
            text = _text(msgspec.json.encode(item))
            rejected.append(Rejected(_text(item.get("id", _NULL)), *fault, text))
    return _build(rows, schema, normalize), rejected


def rejected_table(rejected: Sequence[Rejected], resource: str, moment: datetime) -> pa.Table:
    """Build the table of rejected objects, one row for each different one."""
    rows = {}
    for misfit in rejected:
        key = sha256(f"{resource}\0{misfit.item}".encode()).hexdigest()
        rows[key] = {"key": key, "resource": resource, "rejected_at": moment, **asdict(misfit)}
    return pa.Table.from_pylist(list(rows.values()), schema=schemas.REJECTED_ITEMS)


def _build(rows: Sequence[_Row], schema: pa.Schema, normalize: Callable[[str], str]) -> pa.Table:
    arrays = [_column([row.get(_key(field), _NULL) for row in rows], field) for field in schema]
    fields = list(schema)
    for key, name in _unknown_columns(rows, schema, normalize).items():
        fields.append(schemas.unknown_column(name))
        arrays.append(_column([row.get(key, _NULL) for row in rows], fields[-1]))
    return pa.table(arrays, schema=pa.schema(fields))


def _key(field: pa.Field) -> _Key:
    parent, _, child = field.name.partition("__")
    return (parent, child) if child else parent


def _flatten(item: Item, schema: pa.Schema) -> _Row:
    """Put the fields of nested objects that have columns of their own beside the others."""
    row: _Row = {**item}
    for parent in {key[0] for key in map(_key, schema) if isinstance(key, tuple)}:
        nested = row.pop(parent, _NULL)
        if nested != _NULL:
            children = msgspec.json.decode(nested, type=dict[str, msgspec.Raw])
            row |= {(parent, child): value for child, value in children.items()}
    return row


def _column(values: Sequence[msgspec.Raw], field: pa.Field) -> pa.Array:
    """Decode a column.

    Raises:
        DecodeError, UnicodeDecodeError, ArrowInvalid: A value doesn't fit.
    """
    if schemas.is_json(field):
        return pa.array([None if value == _NULL else bytes(value) for value in values], field.type)
    decoder = _DECODERS[field.type] if field.nullable else _ID_DECODER
    return pa.array(decoder.decode(b"[" + b",".join(values) + b"]"), field.type)


def _fault(item: Item, schema: pa.Schema) -> tuple[str, str] | None:
    """Return the first field that doesn't fit, and why; None for an object that fits."""
    field_name = "owner"
    try:
        row = _flatten(item, schema)
        for field in schema:
            field_name = field.name
            _column([row.get(_key(field), _NULL)], field)
        for key, value in row.items():
            field_name = str(key)
            bytes(value).decode()
    except _MISFITS as error:
        return field_name, str(error).removesuffix(" - at `$[0]`")
    return None


def _unknown_columns(rows: Sequence[_Row], schema: pa.Schema, normalize: Callable[[str], str]) -> dict[_Key, str]:
    """Return the fields that the schema doesn't know, each with a column's name that nothing else has."""
    unknown = set().union(*rows) - {_key(field) for field in schema}
    paths = {key: key if isinstance(key, str) else "__".join(key) for key in unknown}
    names = {key: normalize(path) if path else "" for key, path in paths.items()}
    taken = {normalize(name) for name in schema.names}
    # a field that needs no other name comes before those that do
    for key in sorted(unknown, key=lambda key: (names[key] != paths[key], paths[key], str(key))):
        if not names[key] or names[key] in taken or names[key].startswith("_dlt"):
            names[key] = normalize(f"field_{names[key].strip('_')}_{crc32(str(key).encode()):08x}")
        taken.add(names[key])
    return names


def _text(raw: msgspec.Raw | bytes) -> str:
    return bytes(raw).decode(errors="replace")
