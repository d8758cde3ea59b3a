"""What PostgreSQL's JSON doesn't take, though it is JSON.

A number has up to 131,072 digits before the point and 16,383 after it; an array of some 17 million parts is too large.
The limits here are lower: `1e131071` takes 8 characters, and in a text that a view makes of it 131,072.
"""

import re

import msgspec

MOST_BYTES = 32_000_000
"""No value of so many bytes has too many parts."""

_MOST_DIGITS = 9_999

# two, each of which is fast and looks at no digit twice
_EXPONENT = re.compile(rb"[0-9][eE][+-]?[0-9]{4}")
_DIGITS = re.compile(rb"(?<![0-9])[0-9]{%d}" % (_MOST_DIGITS + 1))
_TEXT_OR_NUMBER = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[-+.0-9eE]++', re.DOTALL)


def check(value: bytes) -> None:
    """Check that PostgreSQL takes a value, as JSON text.

    Raises:
        ValidationError: It doesn't.
    """
    if len(value) > MOST_BYTES:
        raise msgspec.ValidationError(f"PostgreSQL takes no JSON of {len(value):,} bytes")
    if _may_be_huge(value):
        for token in _TEXT_OR_NUMBER.finditer(value):
            if _is_huge(token[0]):
                raise msgspec.ValidationError("PostgreSQL's JSON takes no number of so many digits")


def taken(value: bytes) -> bytes:
    """Return JSON text that PostgreSQL takes: huge numbers are texts in it, and what is too large is one text."""
    if len(value) > MOST_BYTES:
        return msgspec.json.encode(value.decode(errors="replace"))
    if not _may_be_huge(value):
        return value
    return _TEXT_OR_NUMBER.sub(lambda token: b'"%b"' % token[0] if _is_huge(token[0]) else token[0], value)


def _may_be_huge(value: bytes) -> bool:
    """Tell whether a value has a huge number; it may stand in a text, where it does no harm."""
    return bool(_EXPONENT.search(value) or (len(value) > _MOST_DIGITS and _DIGITS.search(value)))


def _is_huge(token: bytes) -> bool:
    return not token.startswith(b'"') and _may_be_huge(token)
