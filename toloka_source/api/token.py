"""The account's token: checked, and never shown."""

import re
from base64 import b64encode
from html import escape
from typing import NoReturn, Self

from toloka_source import errors

_TOY = 6
"""A token that is shorter may be part of any word, and is no secret."""

_WHERE = "set SOURCES__TOLOKA__TOKEN, or token under [sources.toloka] in .dlt/secrets.toml"


class Token:
    """A token that no traceback shows, whoever prints the values in it."""

    __slots__ = ("_key", "_kind", "_shown")

    def __init__(self, text: str | None) -> None:
        """Check it.

        Args:
            text: As Toloka shows it, or with `OAuth ` or `ApiKey ` before it; None if there is none.

        Raises:
            MissingTokenError: There is none, or it is empty.
            ConfigurationError: It can't be one.
        """
        if text is None:
            raise errors.MissingTokenError("token", None, f"no token; {_WHERE}")
        words, text = text.strip(), "***"  # here too, if this raises
        self._kind, _, self._key = words.rpartition(" ")
        is_token = words.isascii() and words.isprintable()
        if not self._key or words in ("OAuth", "ApiKey"):
            raise errors.MissingTokenError("token", words, f"is empty; {_WHERE}")
        del words
        if self._kind not in ("", "OAuth", "ApiKey") or not is_token:
            remedy = "not a token; write it as Toloka shows it, or as 'OAuth <token>' or 'ApiKey <key>'"
            raise errors.ConfigurationError("token", text, remedy)
        self._shown = re.compile("|".join([_written(self._key), *_base64(self._key)]), re.IGNORECASE)

    def header(self) -> str:
        """Return the value of the header `Authorization`."""
        return f"{self._kind or 'OAuth'} {self._key}"

    def hide(self, text: str) -> str:
        """Return a text without the token, in case a server sent it back, however it has written it."""
        return self._shown.sub("***", text) if len(self._key) >= _TOY else text

    def __repr__(self) -> str:
        """Return nothing of it."""
        return "Token(***)"

    def __deepcopy__(self, _memo: object) -> Self:
        """Return itself: nothing changes it."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse to be written anywhere."""
        raise TypeError("a token is never pickled")


def _written(key: str) -> str:
    """Return a pattern of the key as it is, or with any characters escaped as JSON, addresses and HTML do it."""
    return "".join(
        rf"(?:\\*{re.escape(char)}|\\+u00{ord(char):02x}|%(?:25)*{ord(char):02x}|&#0*{ord(char)};|&#x0*{ord(char):x};"
        rf"|{re.escape(escape(char))})"
        for char in key
    )


def _base64(key: str) -> list[str]:
    """Return patterns of what base64 makes of the key, whatever stands before and after it."""
    patterns = []
    for before, spoilt in ((0, 0), (1, 2), (2, 3)):
        code = b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        whole = code[spoilt : (before + len(key)) * 8 // 6]
        patterns.append(re.escape(whole).replace(r"\+", "[+-]").replace("/", "[/_]"))
    return patterns
