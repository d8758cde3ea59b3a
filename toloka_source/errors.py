"""Every error of this package, grouped by what the caller should do about it.

TolokaError
├── ConfigurationError            change a setting; no request was made
│   ├── MissingTokenError
│   └── CertificateError          the server's certificate isn't trusted
├── AccessError                   change the token or the account's rights
│   ├── AuthenticationError       401
│   └── PermissionDeniedError     403
├── TemporaryError                run again later
│   ├── HostUnreachableError      no connection, or no whole answer in time
│   ├── RateLimitError            429
│   │   └── QuotaError            the hour's or the day's requests are used up
│   └── ServerError               408, 5xx
├── RequestError                  any other refusal of the API: report it
├── ProtocolError                 an answer that the API doesn't document: report it
├── RejectedItemsError            objects don't fit their schema, and the run is strict: look at them
├── AccountChangedError           another account, or most objects are missing: check the token, or allow it
├── BusyError                     wait until the other run of the pipeline ends
├── BackfillError                 windows weren't loaded: see why, load them again
├── KilledError                   windows whose process was killed: give it more memory, load them again
├── FileError                     a file or folder can't be written: make room, or give the right to
└── DestinationError              look at the destination
    ├── DestinationDownError      it can't be reached, or has no room: see to it, then run again
    └── DestinationLockedError    end the process that holds the file
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from toloka_source.window import Window


_LONGEST = 300
_LONGEST_VALUE = 100


def shortened(text: str, length: int = _LONGEST) -> str:
    """Return a text of at most so many characters: its middle is left out."""
    if len(text) <= length:
        return text
    end = length // 3
    return f"{text[: length - end - 5]} ... {text[-end:]}"


def one_line(text: object) -> str:
    """Return a text, such as an error's, without line breaks and other characters that no terminal should get."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())


def check_choice(field: str, value: object, known: Collection[object]) -> None:
    """Check that a setting is one of those that are known.

    Raises:
        ConfigurationError: It isn't; says which are.
    """
    if value not in known:
        raise ConfigurationError(field, value, f"unknown; use one of {', '.join(map(str, known))}")


class TolokaError(Exception):
    """Base of all errors of this package; its text is one line, of at most 300 characters, that says what to do."""

    def __init__(self, message: str = "") -> None:
        """Keep the line."""
        super().__init__(shortened(one_line(message)))


class ConfigurationError(TolokaError):
    """A setting that can't work, found before any request.

    Args:
        field: The setting, as it is named in the configuration.
        value: What it was set to.
        remedy: What to write there.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        """Keep the parts, and say them in one line."""
        super().__init__(f"{field} = {shortened(repr(value), _LONGEST_VALUE)}: {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle by the arguments, so that the error passes between processes."""
        return type(self), (self.field, self.value, self.remedy)


class MissingTokenError(ConfigurationError):
    """No token is configured."""


class CertificateError(ConfigurationError):
    """The server's certificate isn't trusted, so it wasn't sent anything."""


class ApiError(TolokaError):
    """The API answered with an error.

    Args:
        message: One line for the user.
        status: The HTTP status.
        code: The API's own error code, such as `VALIDATION_ERROR`, if it sent one.
        request_id: The API's id of the request, if it sent one: its support asks for it.
        retry_at: When the API wants to be asked again (UTC), if it said so.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        """Keep the parts beside the line."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_at = retry_at

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle by the arguments, so that the error passes between processes."""
        return type(self), (str(self), self.status, self.code, self.request_id, self.retry_at)


class AccessError(ApiError):
    """The API doesn't let this token in."""


class AuthenticationError(AccessError):
    """The API doesn't know the token (401)."""


class PermissionDeniedError(AccessError):
    """The token may not read this list (403)."""


class TemporaryError(ApiError):
    """Something that passes; the request was tried as often as the retry policy says."""


class HostUnreachableError(TemporaryError):
    """No connection to the API, or no whole answer in time."""


class RateLimitError(TemporaryError):
    """The API's quota ran out (429)."""


class QuotaError(RateLimitError):
    """The quota of an hour or a day ran out: no use in trying again before `retry_at`."""


class ServerError(TemporaryError):
    """The API, or a proxy before it, failed (408, 5xx, or an answer that isn't the API's)."""


class RequestError(ApiError):
    """The API refused the request (400, 404, a redirect, ...)."""


class ProtocolError(TolokaError):
    """The API answered with a page that breaks its own contract; nothing was loaded."""


class RejectedItemsError(TolokaError):
    """Objects don't fit their schema, and the run is strict; nothing was loaded."""


class AccountChangedError(TolokaError):
    """The token is another account's, or the account has lost most of its objects; nothing was loaded."""


class BusyError(TolokaError):
    """Another process runs the same pipeline."""


class BackfillError(TolokaError):
    """Some windows of a back-fill weren't loaded; all others were.

    Args:
        failed: The windows in their order, and why each wasn't loaded.

    Attributes:
        failed: The same.
        loaded: The other windows, each with its `LoadReport`.
    """

    def __init__(self, failed: Sequence[tuple[Window, Exception]]) -> None:
        """Keep the windows, and say which they are in one line."""
        windows = ", ".join(f"({window.start} .. {window.end}]" for window, _ in failed)
        super().__init__(f"{len(failed)} windows were not loaded, load them again: {windows}")
        self.failed = tuple(failed)
        self.loaded: Sequence[tuple[Window, Any]] = ()

    def __reduce__(self) -> tuple[type, tuple[object, ...], dict[str, object]]:
        """Pickle by the arguments, so that the error passes between processes."""
        return type(self), (self.failed,), {"loaded": self.loaded}


class KilledError(TolokaError):
    """The process that loaded a window was killed, each time that the window was begun."""


class FileError(TolokaError):
    """A file or folder on this machine could not be written: its disk is full, or it may not be.

    Args:
        path: The file or folder.
        reason: What the system said.
        before: What is said first, such as that the data was loaded.
    """

    def __init__(self, path: object, reason: str, before: str = "") -> None:
        """Keep the parts, and say them in one line."""
        place = shortened(str(path), _LONGEST_VALUE)
        super().__init__(f"{before}{place} can't be written: {reason}; make room, or give the right to write there")
        self.path = path
        self.reason = reason
        self.before = before

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle by the arguments, so that the error passes between processes."""
        return type(self), (self.path, self.reason, self.before)


class DestinationError(TolokaError):
    """The destination could not be read or written."""


class DestinationDownError(DestinationError):
    """The destination can't be reached, or has no room."""


class DestinationLockedError(DestinationError):
    """Another process holds the destination's file."""
