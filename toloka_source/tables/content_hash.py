"""A hash of an object's content, by which changes are found.

It is the xxHash (XXH64) of the object's JSON: fields in the order of their names, those that are null left out, no
blanks between them, and each value as the API sent it. The seed is the same function, with seed 0, of the names and
types of the list's columns: an object counts as changed when they have changed. It is kept as a signed number.
"""

from collections.abc import Sequence

import msgspec
import pyarrow as pa
from xxhash import xxh64_intdigest

from toloka_source.api.client import Item
from toloka_source.catalog import schemas

_NULL = msgspec.Raw(b"null")
_ENCODER = msgspec.json.Encoder(order="sorted")


def seed_of(schema: pa.Schema) -> int:
    """Return a number that is another one for columns of another name or type."""
    columns = [[field.name, "json" if schemas.is_json(field) else str(field.type)] for field in schema]
    return xxh64_intdigest(msgspec.json.encode(columns))


def content_hashes(items: Sequence[Item], seed: int) -> pa.Array:
    """Return the hash of each object."""
    texts = (_ENCODER.encode({name: value for name, value in item.items() if value != _NULL}) for item in items)
    return pa.array([xxh64_intdigest(text, seed) for text in texts], pa.uint64()).view(pa.int64())
