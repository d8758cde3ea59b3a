"""The only module that speaks HTTP: one authenticated GET of one page, under one retry policy.

What an answer means is said in `answers.py`.

Facts about hosts, the Authorization header, limits and error bodies: [Toloka API](https://toloka.ai/docs/api/api-reference/).
"""

import io
import logging
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
import urllib3
from dlt.sources.helpers.requests import Session
from requests.adapters import HTTPAdapter

from toloka_source import answers, errors
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
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_TOY_TOKEN = 6
_LEAST_SECONDS = 0.1
_ADDRESS = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?(/[!-\[\]-~]*)?")


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
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request

    def hide(self, text: bytes) -> bytes:
        """Return the text without the token, in case a server sent it back; a toy one may be part of any word."""
        return text.replace(self._key.encode(), b"***") if len(self._key) >= _TOY_TOKEN else text

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a token is never pickled")


class _Deadline(threading.local):
    at = math.inf


class _Adapter(HTTPAdapter):
    """Ends every answer at a deadline, which each thread has its own of.

    requests' own time-out is for each read alone: headers, a body, chunks or gzip that drip would never end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deadline = _Deadline()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it was
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        base = type(pool).ConnectionCls
        pool.ConnectionCls = type(base.__name__, (base,), {"response_class": staticmethod(self._response)})
        return pool

    def _response(self, connection: Any, *args: Any, **kwargs: Any) -> HTTPResponse:  # noqa: ANN401 - plain or TLS
        return HTTPResponse(_TimedReader(connection, self.deadline), *args, **kwargs)  # type: ignore[arg-type]


class _TimedReader(io.RawIOBase):
    """Reads from a connection until the deadline; stands in for the socket that `HTTPResponse` wants."""

    def __init__(self, connection: Any, deadline: _Deadline) -> None:  # noqa: ANN401 - plain or TLS
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        left = self._deadline.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Session(Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Take no redirect for one: requests would work out the next request even if it isn't to follow."""


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
    base_url = base_url.strip()
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    # put together again from what was checked: no other parser can read another host from it
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    address = f"{parts.scheme}://{netloc}{parts.path}"
    if not _ADDRESS.fullmatch(address) or address.lower() != base_url.lower():
        shown = re.sub("//.*@", "//***@", base_url)  # a password is nobody's business
        raise errors.ConfigurationError("base_url", shown, "not an address such as https://toloka.dev/api/v1")
    if parts.scheme == "http" and not _is_loopback(host):
        remedy = "http:// would send the token in the clear; use https://"
        raise errors.ConfigurationError("base_url", base_url, remedy)
    return address.rstrip("/")


def _ca_bundle() -> str | bool:
    """Return the file of the authorities to trust that the environment names, else True for requests' own."""
    for name in _CA_BUNDLES:
        path = os.environ.get(name)
        if path:
            if not Path(path).exists():
                raise errors.ConfigurationError(name, path, "no such file")
            return path
    return True


class Client:
    """Reads pages of the API's lists, in one session of kept-alive connections. Any thread may use it.

    Attributes:
        requests: Requests sent so far, retries included.
        retries: How many of them were retries.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        policy: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: As `base_address` returns it.
            token: Sent as `OAuth <token>`; one that begins with `OAuth ` or `ApiKey ` is sent as it is.
            policy: How long to try.
            sleep: Waits so many seconds between two tries.

        Raises:
            MissingTokenError: The token is empty.
            ConfigurationError: The token can't be one, or the environment names a file of authorities that isn't there.
        """
        self.base_url = base_url
        self.policy = policy or RetryPolicy()
        self.requests = 0
        self.retries = 0
        self._sleep = sleep
        self._host = urlsplit(base_url).netloc
        self._clock_warned = False
        self._authorization = _Authorization(token)
        self._counting = threading.Lock()
        self._adapter = _Adapter()
        self._session = _Session(raise_for_status=False)
        self._session.auth = self._authorization
        self._session.headers.update({"Accept": "application/json", "User-Agent": "toloka-source"})
        self._session.mount(base_url, self._adapter)
        if base_url.startswith("https:"):
            self._session.verify = _ca_bundle()
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
            ConfigurationError: The address can't be used, or its certificate isn't trusted.
        """
        retrying = tenacity.Retrying(
            sleep=self._sleep,
            retry=tenacity.retry_if_exception(_is_worth_retrying),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self.policy.attempts) | tenacity.stop_before_delay(self.policy.seconds),
            before_sleep=self._announce_retry,
            reraise=True,
        )
        return retrying(self._try, path, params, time.monotonic() + self.policy.seconds)

    def _announce_retry(self, state: tenacity.RetryCallState) -> None:
        with self._counting:
            self.retries += 1
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s; trying again in %.1f s", error, state.upcoming_sleep)

    def _try(self, path: str, params: Mapping[str, str], end: float) -> Page:
        answer = self._ask(path, params, end)
        # raised out here, an error holds neither one of requests' errors, with the token, nor the body
        if isinstance(answer, errors.TolokaError):
            raise answer
        return answer

    def _ask(self, path: str, params: Mapping[str, str], end: float) -> Page | errors.TolokaError:
        with self._counting:
            self.requests += 1
        sent_at = datetime.now(UTC)
        seconds = max(min(self.policy.request_seconds, end - time.monotonic()), _LEAST_SECONDS)
        self._adapter.deadline.at = time.monotonic() + seconds
        try:
            with self._session.get(
                f"{self.base_url}/{path}", params=params, timeout=seconds, stream=True, allow_redirects=False
            ) as response:
                body = _read_body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            reason = self._authorization.hide(f"{type(error).__name__}: {error}".encode()).decode()
            return answers.unreachable(self.base_url, self._host, error, reason)
        if response.status_code != HTTPStatus.OK:
            return answers.refusal(response, self._authorization.hide(body), path)
        try:
            page = answers.parse_page(body)
        except answers.BROKEN as error:
            return answers.not_a_page(response, self._authorization.hide(body), path, error)
        return Page(page.items, page.has_more, to_millisecond(self._as_of(response, sent_at)))

    def _as_of(self, response: requests.Response, sent_at: datetime) -> datetime:
        server = answers.server_time(response)
        if server is None:
            return sent_at
        if server - sent_at > _CLOCK_TOLERANCE and not self._clock_warned:
            self._clock_warned = True
            log.warning("the API's clock is %s ahead of this machine's: check the time here", server - sent_at)
        return min(server, sent_at)


def _read_body(response: requests.Response) -> bytes:
    try:
        return bytes(response.raw.read(decode_content=True))
    except (urllib3.exceptions.HTTPError, OSError):
        if response.status_code == HTTPStatus.OK:
            raise
        return b""  # the status alone tells enough


def _is_worth_retrying(error: BaseException) -> bool:
    return isinstance(error, errors.TemporaryError) and not isinstance(error, errors.QuotaError)


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=60)


def _wait(state: tenacity.RetryCallState) -> float:
    """Wait by a random part of a doubling time, but at least as long as the API asks."""
    error = state.outcome.exception() if state.outcome else None
    retry_at = error.retry_at if isinstance(error, errors.TemporaryError) else None
    backoff = float(_backoff(state))
    if retry_at is None:
        return backoff
    asked = (retry_at - datetime.now(UTC)).total_seconds()
    # a little more, so that many clients don't come back in the same moment
    return max(asked + random.uniform(0, 0.25), backoff)  # noqa: S311 - no secret
