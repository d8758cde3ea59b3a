"""The only module that builds Arrow: objects of the API become a table with the endpoint's columns.

A column is decoded in one call: its raw values, joined to one JSON array. Nested values are never parsed. Only when a
column doesn't decode are its objects looked at one by one, and those that don't fit are handed back as rejected.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from hashlib import sha256
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from toloka_source.api.client import Item
from toloka_source.catalog import schemas
from toloka_source.tables import jsonb
from toloka_source.tables.content_hash import content_hashes, seed_of
from toloka_source.tables.unknown_fields import MORE_FIELDS, FieldPlace, more_fields, unknown_columns

_NULL = msgspec.Raw(b"null")
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_DECODERS: dict[pa.DataType, msgspec.json.Decoder[Any]] = {
    schemas.TEXT: msgspec.json.Decoder(list[str | None]),
    schemas.TIMESTAMP: msgspec.json.Decoder(list[datetime | None]),
    schemas.INTEGER: msgspec.json.Decoder(list[_INT64 | None]),
    schemas.BOOLEAN: msgspec.json.Decoder(list[bool | None]),
    schemas.NUMBER: msgspec.json.Decoder(list[float | None]),
    schemas.MONEY: msgspec.json.Decoder(list[Decimal | None]),
}
_CHILDREN_DECODER = msgspec.json.Decoder(list[dict[str, msgspec.Raw] | None])
_ID_DECODER = msgspec.json.Decoder(list[Annotated[str, msgspec.Meta(min_length=1)]])
_LEAST_MONEY = Decimal(1).scaleb(-schemas.MONEY.scale)
_MONEY_CONTEXT = Context(prec=schemas.MONEY.precision)
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
    items: Sequence[Item],
    schema: pa.Schema,
    normalize: Callable[[str], str] = str,
    *,
    is_jsonb: bool = False,
    there: set[str] | None = None,
) -> tuple[pa.Table, list[Rejected]]:
    """Build the table of some objects.

    Args:
        items: The objects.
        schema: The endpoint's columns, see `schemas.py`.
        normalize: Makes a column's name of a field's name, for fields that the schema doesn't know.
        is_jsonb: Whether the destination's JSON is PostgreSQL's, which doesn't take all.
        there: The columns of unknown fields that were made before; those that are made now are added.

    Returns:
        The table: the schema's columns, JSON columns for the unknown fields, and the hash of each object. And the
        objects that are not in it, because they don't fit. Each object is in one of the two.
    """
    there = set() if there is None else there
    try:
        return _build(items, schema, normalize, there, is_jsonb=is_jsonb), []
    except _MISFITS:
        pass
    good: list[Item] = []
    rejected: list[Rejected] = []
    for item in items:
        fault = _fault(item, schema, is_jsonb=is_jsonb)
        if fault is None:
            good.append(item)
        else:
            whole = msgspec.json.encode(item)
            text = _text(jsonb.taken(whole) if is_jsonb else whole)
            rejected.append(Rejected(_text(item.get("id", _NULL)), *fault, text))
    return _build(good, schema, normalize, there, is_jsonb=is_jsonb), rejected


def rejected_table(rejected: Sequence[Rejected], resource: str, moment: datetime) -> pa.Table:
    """Build the table of rejected objects, one row for each different one."""
    rows = {}
    for misfit in rejected:
        key = sha256(f"{resource}\0{misfit.item}".encode()).hexdigest()
        rows[key] = {"key": key, "resource": resource, "rejected_at": moment, **asdict(misfit)}
    return pa.Table.from_pylist(list(rows.values()), schema=schemas.REJECTED_ITEMS)


def _build(
    items: Sequence[Item], schema: pa.Schema, normalize: Callable[[str], str], there: set[str], *, is_jsonb: bool
) -> pa.Table:
    places = {_place(field.name): field for field in schema}
    parents = {place.parent for place in places if place.parent is not None}
    objects: dict[str | None, Sequence[Item]] = {None: items}
    objects |= {parent: _children(items, parent) for parent in parents}
    found = {FieldPlace(parent, name) for parent, rows in objects.items() for name in set().union(*rows)}
    unknown = found - places.keys() - {FieldPlace(None, parent) for parent in parents}
    own, more = unknown_columns(unknown, schema, normalize, there)
    places |= own
    arrays = [
        _column([row.get(place.name, _NULL) for row in objects[place.parent]], field, is_jsonb=is_jsonb)
        for place, field in places.items()
    ]
    fields = list(places.values())
    if more:
        fields.append(schemas.more_fields_column(MORE_FIELDS))
        texts = [msgspec.Raw(msgspec.json.encode(row)) if row else _NULL for row in more_fields(more, objects)]
        arrays.append(_column(texts, fields[-1], is_jsonb=is_jsonb))
    hashes = content_hashes(items, seed_of(schema))
    table = pa.table([*arrays, hashes], schema=pa.schema([*fields, schemas.HASH]))
    there |= {field.name for field in own.values()}
    return table


def _place(column: str) -> FieldPlace:
    parent, _, child = column.partition("__")
    return FieldPlace(parent, child) if child else FieldPlace(None, column)


def _children(items: Sequence[Item], parent: str) -> list[Item]:
    """Return the objects in a field of the objects, an empty one where there is none."""
    joined = b"[" + b",".join([item.get(parent, _NULL) for item in items]) + b"]"
    return [child or {} for child in _CHILDREN_DECODER.decode(joined)]


def _column(values: Sequence[msgspec.Raw], field: pa.Field, *, is_jsonb: bool) -> pa.Array:
    """Decode a column.

    Raises:
        DecodeError, UnicodeDecodeError, ArrowInvalid: A value doesn't fit.
    """
    if schemas.is_json(field):
        texts = [None if value == _NULL else bytes(value) for value in values]
        if is_jsonb:
            for text in filter(None, texts):
                jsonb.check(text)
        return pa.array(texts, field.type)
    decoder = _DECODERS[field.type] if field.nullable else _ID_DECODER
    decoded: list[Any] = decoder.decode(b"[" + b",".join(values) + b"]")
    if field.type == schemas.MONEY:
        decoded = [_money(amount) for amount in decoded]
    return pa.array(decoded, field.type)


def _money(amount: Decimal | None) -> Decimal | None:
    """Round an amount to what its column holds: what is beyond that comes of somebody's binary fractions."""
    try:
        rounded = amount and amount.quantize(_LEAST_MONEY, context=_MONEY_CONTEXT)
        if rounded is None or rounded.is_finite():
            return rounded
    except InvalidOperation:
        pass
    raise msgspec.ValidationError("Expected an amount of money")


def _fault(item: Item, schema: pa.Schema, *, is_jsonb: bool) -> tuple[str, str] | None:
    """Return the first field that doesn't fit, and why; None for an object that fits."""
    name = ""
    try:
        for field in schema:
            place = _place(field.name)
            name = field.name if place.parent is None else place.parent
            (row,) = [item] if place.parent is None else _children([item], place.parent)
            name = field.name
            _column([row.get(place.name, _NULL)], field, is_jsonb=is_jsonb)
        for name, value in item.items():
            bytes(value).decode()
            if is_jsonb and name not in schema.names:
                jsonb.check(bytes(value))
    except _MISFITS as error:
        return name, str(error).removesuffix(" - at `$[0]`")
    return None


def _text(raw: msgspec.Raw | bytes) -> str:
    return bytes(raw).decode(errors="replace")
