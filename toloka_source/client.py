"""The only module that speaks HTTP: one authenticated GET of one page, under one retry policy.

Facts about hosts, the Authorization header, limits and error bodies: [Toloka API](https://toloka.ai/docs/api/api-reference/).
"""

import logging
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
import urllib3
from dlt.sources.helpers.requests import Session

from toloka_source import errors
from toloka_source.times import to_millisecond

log = logging.getLogger(__name__)

HOSTS = {
    "production": "https://toloka.dev/api/v1",
    "sandbox": "https://sandbox.toloka.dev/api/v1",
}
"""The API's base address for each environment."""

Item = dict[str, msgspec.Raw]
"""One object of a list: its fields, each as the JSON text that the API sent."""

_CLOCK_TOLERANCE = timedelta(minutes=5)
_CHUNK = 1 << 18
_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, 500, 502, 503, 504)
# tells apart the escapes of JSON text: a pair of surrogates, a lone surrogate, any other
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to try.

    Attributes:
        attempts: Tries of one request, the first included.
        seconds: Time for all tries of one request, waiting included.
        request_seconds: Time for one try, until the last byte.
    """

    attempts: int = 8
    seconds: float = 300.0
    request_seconds: float = 60.0


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        items: The objects, in the order of the answer.
        has_more: Whether more objects follow.
        as_of: A moment (UTC, in milliseconds) at which the page was surely not read yet: the earlier one of the
            server's clock and ours. Objects that changed later may be missing.
    """

    items: list[Item]
    has_more: bool
    as_of: datetime


class _PageBody(msgspec.Struct):
    items: list[Item]
    has_more: bool


class _ErrorBody(msgspec.Struct):
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    payload: object = None


class _Authorization(requests.auth.AuthBase):
    """Sets the header. As an `auth` object it also keeps requests from taking a password of ~/.netrc instead."""

    def __init__(self, token: str) -> None:
        token = token.strip()
        kind, _, key = token.rpartition(" ")
        if not key or token in ("OAuth", "ApiKey"):
            remedy = "no token; set SOURCES__TOLOKA__TOKEN, or token under [sources.toloka] in .dlt/secrets.toml"
            raise errors.MissingTokenError("token", None, remedy)
        if kind not in ("", "OAuth", "ApiKey") or not (token.isascii() and token.isprintable()):
            remedy = "not a token; write it as Toloka shows it, or as 'OAuth <token>' or 'ApiKey <key>'"
            raise errors.ConfigurationError("token", "***", remedy)
        self._header = f"{kind or 'OAuth'} {key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request

    def __reduce__(self) -> tuple[Any, ...]:
        message = "a token is never pickled"
        raise TypeError(message)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def base_address(environment: str, base_url: str | None) -> str:
    """Return the address that the lists stand under.

    Raises:
        ConfigurationError: An unknown environment, or an address that can't be used; `http://` would show the token
            to everybody on the way, so it is taken for this machine alone.
    """
    if environment not in HOSTS:
        raise errors.ConfigurationError("environment", environment, f"unknown; use one of {', '.join(HOSTS)}")
    if base_url is None:
        return HOSTS[environment]
    parts = urlsplit(base_url)
    try:
        valid = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        valid = False
    if not valid or parts.scheme not in ("http", "https") or parts.username is not None:
        raise errors.ConfigurationError("base_url", base_url, "not an address such as https://toloka.dev/api/v1")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        remedy = "http:// would send the token in the clear; use https://"
        raise errors.ConfigurationError("base_url", base_url, remedy)
    return base_url.rstrip("/")


class Client:
    """Reads pages of the API's lists, in one session of kept-alive connections.

    Attributes:
        requests: Requests sent so far, retries included.
        retries: How many of them were retries.
    """

    def __init__(self, base_url: str, token: str, policy: RetryPolicy | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: As `base_address` returns it.
            token: Sent as `OAuth <token>`; one that begins with `OAuth ` or `ApiKey ` is sent as it is.
            policy: How long to try.

        Raises:
            MissingTokenError: The token is empty.
            ConfigurationError: The token can't be one.
        """
        self.base_url = base_url
        self.policy = policy or RetryPolicy()
        self.requests = 0
        self.retries = 0
        self._host = urlsplit(base_url).netloc
        self._clock_warned = False
        self._session = Session(timeout=self.policy.request_seconds, raise_for_status=False)
        self._session.auth = _Authorization(token)
        self._session.headers.update({"Accept": "application/json", "User-Agent": "toloka-source"})
        if _is_loopback(urlsplit(base_url).hostname or ""):
            # nothing on this machine is reached through a company's proxy
            self._session.trust_env = False

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._session.close()

    def get_page(self, path: str, params: Mapping[str, str]) -> Page:
        """Read one page.

        Args:
            path: The list, such as `projects`.
            params: The query.

        Raises:
            AccessError: 401, 403.
            RequestError: Another refusal, such as 400 or 404.
            TemporaryError: Still failing after all tries of the policy, or the API asks for a longer wait.
            ProtocolError: An answer that isn't a page.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_worth_retrying),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self.policy.attempts) | tenacity.stop_before_delay(self.policy.seconds),
            before_sleep=self._announce_retry,
            reraise=True,
        )
        return retrying(self._get_page_once, path, params)

    def _announce_retry(self, state: tenacity.RetryCallState) -> None:
        self.retries += 1
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; trying again in %.1f s", error, state.upcoming_sleep)

    def _get_page_once(self, path: str, params: Mapping[str, str]) -> Page:
        self.requests += 1
        sent_at = datetime.now(UTC)
        try:
            with self._session.get(
                f"{self.base_url}/{path}", params=params, stream=True, allow_redirects=False
            ) as response:
                body = self._read_body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # requests' errors hold the request, and so the token: none of them goes on from here
            raise _unreachable(self._host, error) from None
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response, body, path)
        page = _parse_page(response, body, path)
        return Page(page.items, page.has_more, to_millisecond(self._as_of(response, sent_at)))

    def _read_body(self, response: requests.Response) -> bytes:
        # requests' own time-out is for each read: a body that drips would never end
        deadline = time.monotonic() + self.policy.request_seconds
        chunks: list[bytes] = []
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            chunks.append(chunk)
            if time.monotonic() > deadline:
                message = f"no whole answer in {self.policy.request_seconds:g} s"
                raise requests.ReadTimeout(message)
        return b"".join(chunks)

    def _as_of(self, response: requests.Response, sent_at: datetime) -> datetime:
        server = _server_time(response)
        if server is None:
            return sent_at
        if server - sent_at > _CLOCK_TOLERANCE and not self._clock_warned:
            self._clock_warned = True
            log.warning("the API's clock is %s ahead of this machine's: check the time here", server - sent_at)
        return min(server, sent_at)


def _server_time(response: requests.Response) -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _is_worth_retrying(error: BaseException) -> bool:
    return isinstance(error, errors.TemporaryError) and not isinstance(error, errors.QuotaError)


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=60)


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait as long as the API asks, else by a random part of a doubling time."""
    error = state.outcome.exception() if state.outcome else None
    retry_at = error.retry_at if isinstance(error, errors.TemporaryError) else None
    if retry_at is None:
        return float(_backoff(state))
    # a little more, so that many clients don't come back in the same moment
    asked = (retry_at - datetime.now(UTC)).total_seconds()
    return max(asked, 0.0) + random.uniform(0, 0.25)  # noqa: S311 - no secret


def _unreachable(host: str, error: Exception) -> errors.TemporaryError:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return errors.HostUnreachableError(f"{host} did not answer in time ({reason})")
    if isinstance(error, urllib3.exceptions.HTTPError) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return errors.ServerError(f"{host} sent a broken answer ({reason})")
    return errors.HostUnreachableError(f"{host} can't be reached: check base_url, the network and the proxy ({reason})")


def _parse_page(response: requests.Response, body: bytes, path: str) -> _PageBody:
    try:
        try:
            return msgspec.json.decode(body, type=_PageBody)
        except msgspec.DecodeError as error:
            if isinstance(error, msgspec.ValidationError):
                raise
            # half of an emoji, cut off by some editor, is JSON but no Unicode
            return msgspec.json.decode(_ESCAPES.sub(_without_lone_surrogate, body), type=_PageBody)
    except msgspec.ValidationError as error:
        message = f"{path}: the answer isn't a page with a list of objects, items, and has_more: {error}"
        raise errors.ProtocolError(message) from None
    except msgspec.DecodeError as error:
        if _is_html(response, body):
            message = f"{path}: a proxy answered in HTML instead of the API: {_html_title(body)}"
        else:
            message = f"{path}: the answer is broken JSON: {error}"
        raise errors.ServerError(message, response.status_code) from None


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


def _is_html(response: requests.Response, body: bytes) -> bool:
    return "html" in response.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"


def _html_title(body: bytes) -> str:
    title = re.search(rb"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    return repr(title[1].decode(errors="replace").strip()[:100]) if title else "a page without a title"


def _refusal(response: requests.Response, body: bytes, path: str) -> errors.ApiError:
    """Return the error that says why the API, or a proxy before it, refused."""
    status = response.status_code
    details = _ErrorBody()
    if _is_html(response, body):
        said = f"a proxy answered in HTML instead of the API: {_html_title(body)}"
    else:
        try:
            details = msgspec.json.decode(body, type=_ErrorBody)
        except msgspec.DecodeError:
            said = f"without the API's error body: {body[:100].decode(errors='replace')!r}"
        else:
            said = f"{details.code}: {details.message}"
    if details.request_id:
        said += f" (request_id {details.request_id})"
    message = f"{path}: HTTP {status}, {said}"
    kept = (status, details.code, details.request_id)
    if status == HTTPStatus.UNAUTHORIZED:
        return errors.AuthenticationError(f"the API doesn't know the token; make a new one ({message})", *kept)
    if status == HTTPStatus.FORBIDDEN:
        return errors.PermissionDeniedError(
            f"the token has no right to read this list; ask the account's owner ({message})", *kept
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return errors.RequestError(f"{path}: HTTP {status}, a redirect; check base_url", *kept)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _rate_limit(response, details, message)
    if status in _AGAIN:
        return errors.ServerError(message, *kept, retry_at=_retry_after(response))
    return errors.RequestError(message, *kept)


def _rate_limit(response: requests.Response, details: _ErrorBody, message: str) -> errors.RateLimitError:
    interval = details.payload.get("interval") if isinstance(details.payload, dict) else None
    asked = _retry_after(response)
    now = datetime.now(UTC)
    kept = (response.status_code, details.code, details.request_id)
    if interval in ("HOUR", "DAY"):
        retry_at = asked or now + (timedelta(hours=1) if interval == "HOUR" else timedelta(days=1))
        message = f"{message}: the quota of the {interval} ran out; come back at {retry_at:%Y-%m-%d %H:%M} UTC"
        return errors.QuotaError(message, *kept, retry_at=retry_at)
    if interval == "MIN":
        asked = max(asked or now, now + timedelta(minutes=1))
    if asked:
        message = f"{message}: come back at {asked:%Y-%m-%d %H:%M:%S} UTC"
    return errors.RateLimitError(message, *kept, retry_at=asked)


def _retry_after(response: requests.Response) -> datetime | None:
    text = response.headers.get("Retry-After", "").strip()
    now = datetime.now(UTC)
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return now + timedelta(seconds=float(text))
        # by the server's own clock, whatever ours says
        return now + (parsedate_to_datetime(text).astimezone(UTC) - (_server_time(response) or now))
    except (ValueError, OverflowError):
        return None
