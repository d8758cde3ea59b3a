"""What an answer of the API, or the lack of one, means: a page, or the error to raise.

Everything here returns an error rather than raise it: an error that is raised while another one is handled keeps that
one, and the ones of requests hold the request with its token.
"""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
import requests
import urllib3

from toloka_source import errors

_T = TypeVar("_T")

Hide = Callable[[str], str]
"""Takes secrets out of a text."""

BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a body that is no JSON, or not of the type asked for."""

_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, 500, 502, 503, 504)
_QUOTED = 300
_LONGEST_WAIT = timedelta(days=36_500)
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No clock shows an older time; from the year 1 nothing could be subtracted."""

_NUL = rb"\u0000"
# tells apart the escapes of JSON text: a pair of surrogates, a lone surrogate, NUL, any other
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<surrogate>u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>u0000)|.)",
    re.DOTALL,
)


_MOST_LEVELS = 900
"""A value with more of them is a text: neither the decoder nor every database takes it otherwise."""

_LEVEL_OF_VALUES = 4
"""Of what stands in a field of an object in the list of a page."""

_STOPS_AT_LEVELS = sys.version_info < (3, 14)
"""Whether the decoder stops at a thousand levels by itself, as an interpreter without such a limit lets it go on."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


class PageBody(msgspec.Struct):
    """The body of a page."""

    items: list[dict[str, msgspec.Raw]]
    has_more: bool


def parse_page(body: bytes, *, keeps_nul: bool = True) -> PageBody:
    """Decode a page.

    Args:
        body: The answer's body.
        keeps_nul: Whether NUL characters may stay; they become U+FFFD where a destination doesn't take them.

    Raises:
        ValidationError: JSON, but no page.
        DecodeError, UnicodeDecodeError, RecursionError: No JSON.
    """
    if not keeps_nul and rb"\u0000" in body:
        body = _without("nul", body)
    if not _STOPS_AT_LEVELS and _may_be_deep(body):
        body = _flat(body)
    try:
        return _decode(body, PageBody)
    except msgspec.ValidationError:
        _decode(body, msgspec.Raw)  # a body that is cut as well is broken in the first place
        raise
    except RecursionError:
        return _decode(_flat(body), PageBody)


def not_a_page(response: requests.Response, body: bytes, path: str, error: Exception, hide: Hide) -> errors.TolokaError:
    """Return the error for a status of 200 with a body that `parse_page` doesn't take; for `hide` see `refusal`."""
    if isinstance(error, msgspec.ValidationError):
        return errors.ProtocolError(
            f"{path}: the answer isn't a page with a list of objects, items, and has_more: {error}"
        )
    said = f"the answer is broken JSON: {error}"
    if is_html(response, body):
        said = f"HTML came instead of JSON, {_said_by_proxy(body, hide)}"
    return errors.ServerError(f"{path}: {said}", response.status_code)


def refusal(response: requests.Response, body: bytes, path: str, hide: Hide) -> errors.ApiError:
    """Return the error that says why the API, or a proxy before it, refused.

    Args:
        response: The answer.
        body: Its body, or the beginning of it.
        path: The list that was asked for.
        hide: Takes secrets out of what is quoted, before it is cut.
    """
    status = response.status_code
    details = _error_body(body)
    code, words, request_id = (_text(details.get(name), hide) for name in ("code", "message", "request_id"))
    if is_html(response, body):
        said = _said_by_proxy(body, hide)
    elif code or words:
        said = f"{code}: {words}"
    else:
        said = f"without the API's error body: {hide(body.decode(errors='replace'))[:100]!r}"
    if request_id:
        said += f" (request_id {request_id})"
    message = f"{path}: HTTP {status}, {said}"
    kept = (status, code, request_id)
    if status == HTTPStatus.UNAUTHORIZED:
        return errors.AuthenticationError(f"the API doesn't know the token; make a new one ({message})", *kept)
    if status == HTTPStatus.FORBIDDEN:
        return errors.PermissionDeniedError(
            f"the token has no right to read this list; ask the account's owner ({message})", *kept
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return errors.RequestError(f"{path}: HTTP {status}, a redirect; check base_url", *kept)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        payload = details.get("payload")
        return _rate_limit(response, payload.get("interval") if isinstance(payload, dict) else None, message, kept)
    if status in _AGAIN:
        retry_at = retry_after(response)
        return errors.ServerError(message + _come_back(retry_at), *kept, retry_at=retry_at)
    return errors.RequestError(message, *kept)


def _rate_limit(
    response: requests.Response, interval: object, message: str, kept: tuple[int, str | None, str | None]
) -> errors.RateLimitError:
    asked = retry_after(response)
    now = datetime.now(UTC)
    if interval in ("HOUR", "DAY"):
        retry_at = asked or now + (timedelta(hours=1) if interval == "HOUR" else timedelta(days=1))
        message = f"{message}: the quota of the {interval} ran out{_come_back(retry_at)}"
        return errors.QuotaError(message, *kept, retry_at=retry_at)
    if interval == "MIN":
        asked = max(asked or now, now + timedelta(minutes=1))
    return errors.RateLimitError(message + _come_back(asked), *kept, retry_at=asked)


def unreachable(base_url: str, host: str, error: Exception, reason: str) -> errors.TolokaError:
    """Return the error for a request without a whole answer.

    Args:
        base_url: The address that was asked.
        host: Its host.
        error: What requests or urllib3 raised.
        reason: The same as text.
    """
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        remedy = "if a company's own authority signed it, name the file of that one in REQUESTS_CA_BUNDLE"
        remedy = f"its certificate isn't trusted; {remedy} or SSL_CERT_FILE ({reason})"
        return errors.CertificateError("base_url", base_url, remedy)
    if isinstance(error, requests.exceptions.InvalidHeader | urllib3.exceptions.InvalidHeader):
        return errors.ServerError(f"{host} sent a broken answer ({reason})")
    if isinstance(error, ValueError):  # as are all errors of requests and urllib3 about addresses
        remedy = f"requests can't use this address, or the one of a proxy ({reason})"
        return errors.ConfigurationError("base_url", base_url, remedy)
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return errors.HostUnreachableError(f"{host} did not answer in time ({reason})")
    if isinstance(error, urllib3.exceptions.HTTPError) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return errors.ServerError(f"{host} sent a broken answer ({reason})")
    return errors.HostUnreachableError(f"{host} can't be reached: check base_url, the network and the proxy ({reason})")


def server_time(response: requests.Response) -> datetime | None:
    """Return the server's clock, if it shows it."""
    return _http_date(response.headers.get("Date", ""))


def retry_after(response: requests.Response) -> datetime | None:
    """Return when the server wants to be asked again, by our clock, if it says so."""
    text = response.headers.get("Retry-After", "").strip()
    now = datetime.now(UTC)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return now + timedelta(seconds=min(float(text), _LONGEST_WAIT.total_seconds()))
    moment = _http_date(text)
    if moment is None:
        return None
    # by the server's own clock, whatever ours says
    return now + max(-_LONGEST_WAIT, min(moment - (server_time(response) or now), _LONGEST_WAIT))


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= _OLDEST else None


def _come_back(moment: datetime | None) -> str:
    return f": come back at {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError):
            raise
        # half of an emoji, cut off by some editor, is JSON but no Unicode
        return msgspec.json.decode(_without("surrogate", body), type=kind)


def _without(group: str, body: bytes) -> bytes:
    return _ESCAPES.sub(lambda escape: rb"\ufffd" if escape[group] else escape[0], body)


def _may_be_deep(body: bytes) -> bool:
    """Tell whether a page may have a value with too many levels; brackets in its texts can be mistaken for them."""
    left = body.translate(None, _NO_BRACKETS)
    rounds = _MOST_LEVELS // 10  # each takes away the innermost level
    while rounds and len(left) > _MOST_LEVELS:
        left = left.replace(b"[]", b"").replace(b"{}", b"")
        rounds -= 1
    return len(left) > _MOST_LEVELS


def _flat(body: bytes) -> bytes:
    """Make a text of each value in a page that has too many levels."""
    parts = []
    level = most = start = done = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        if token[0] in b"[{":
            level += 1
            if level == _LEVEL_OF_VALUES:
                start, most = token.start(), level
            most = max(most, level)
        elif token[0] in b"]}":
            if level == _LEVEL_OF_VALUES and most > _MOST_LEVELS:
                text = body[start : token.end()].decode(errors="replace")
                parts += [body[done:start], msgspec.json.encode(text)]
                done = token.end()
            level -= 1
    return b"".join([*parts, body[done:]])


def _error_body(body: bytes) -> dict[str, Any]:
    try:
        details = _decode(body, object)
    except BROKEN:
        return {}
    return details if isinstance(details, dict) else {}


def _text(value: object, hide: Hide) -> str | None:
    return errors.one_line(hide(str(value))[:_QUOTED]) if isinstance(value, str | int) else None


def is_html(response: requests.Response, body: bytes = b"") -> bool:
    """Tell whether an answer is a web page, by its header or, if it has come already, by its body."""
    return "html" in response.headers.get("Content-Type", "").lower() or body[:100].lstrip()[:1] == b"<"


def _said_by_proxy(body: bytes, hide: Hide) -> str:
    title = re.search(rb"<title[^>]*>([^<]*)", body[:10_000], re.IGNORECASE)
    name = repr(_text(title[1].decode(errors="replace"), hide)) if title else "a page without a title"
    return f"a proxy answered in HTML instead of the API: {name}"
