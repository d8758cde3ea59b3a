"""The only module that speaks HTTP: one authenticated GET of one page, under one retry policy.

How the API is reached is said in `connection.py`, what an answer means in `responses.py`.

Facts about hosts, the Authorization header, limits and error bodies: [Toloka API](https://toloka.ai/docs/api/api-reference/).
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
import urllib3

from toloka_source import errors
from toloka_source.api import responses
from toloka_source.api.connection import Authorization, DeadlineAdapter, NoRedirectSession, ca_bundle, is_loopback
from toloka_source.api.pace import Pace
from toloka_source.api.token import Token
from toloka_source.times import to_millisecond

log = logging.getLogger(__name__)

Item = dict[str, msgspec.Raw]
"""One object of a list: its fields, each as the JSON text that the API sent."""

_CLOCK_TOLERANCE = timedelta(minutes=5)
_LEAST_SECONDS = 0.1
_MOST_BYTES = 256_000_000
"""Of a page, when it isn't compressed any more: several hundred times what the API sends."""

_MOST_ERROR_BYTES = 64_000
_MOST_HTML = 10_000
_PIECE_BYTES = 10**6
"""More than most pages have: they are one piece."""


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


class Client:
    """Reads pages of the API's lists, in one session of kept-alive connections. Any thread may use it.

    Attributes:
        requests: Requests sent so far, retries included.
        retries: How many of them were retries.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Token,
        policy: RetryPolicy | None = None,
        sleep: Callable[[float], object] | None = None,
        connections: int = 1,
        *,
        keeps_nul: bool = True,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: As `base_address` returns it.
            token: Sent as `OAuth <token>`; one that begins with `OAuth ` or `ApiKey ` is sent as it is.
            policy: How long to try.
            sleep: Waits so many seconds between two tries.
            connections: How many threads use the client at once.
            keeps_nul: Whether NUL characters in texts may stay; else they become U+FFFD.

        Raises:
            MissingTokenError: The token is empty.
            ConfigurationError: The token can't be one, or the environment names a file of authorities that isn't there.
        """
        self.base_url = base_url
        self.policy = policy or RetryPolicy()
        self.requests = 0
        self.retries = 0
        self._closed = threading.Event()
        self._sleep = self._closed.wait if sleep is None else sleep
        self._resume_at = 0.0
        self._pace = Pace()
        self._keeps_nul = keeps_nul
        self._host = urlsplit(base_url).netloc
        self._clock_warned = False
        self._token = token if isinstance(token, Token) else Token(token)
        self._counting = threading.Lock()
        self._adapter = DeadlineAdapter(connections)
        self._session = NoRedirectSession(raise_for_status=False)
        self._session.auth = Authorization(self._token)
        self._session.headers.update({"Accept": "application/json", "User-Agent": "toloka-source"})
        self._session.mount(base_url, self._adapter)
        if base_url.startswith("https:"):
            self._session.verify = ca_bundle()
        if is_loopback(urlsplit(base_url).hostname or ""):
            # nothing on this machine is reached through a company's proxy
            self._session.trust_env = False

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be written anywhere."""
        raise TypeError("a client holds a token, which is never pickled")

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections; threads that wait for an answer or for another try give up."""
        self._closed.set()
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
            sleep=self._pause,
            retry=tenacity.retry_if_exception(self._is_worth_retrying),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self.policy.attempts) | tenacity.stop_before_delay(self.policy.seconds),
            before_sleep=self._announce_retry,
            reraise=True,
        )
        self._wait_for_quota()
        return retrying(self._try, path, params, time.monotonic() + self.policy.seconds)

    def _wait_for_quota(self) -> None:
        """Wait while another thread does, whom the API told to."""
        while (seconds := self._resume_at - time.monotonic()) > 0 and not self._closed.is_set():
            self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)

    def _is_worth_retrying(self, error: BaseException) -> bool:
        is_temporary = isinstance(error, errors.TemporaryError) and not isinstance(error, errors.QuotaError)
        return is_temporary and not self._closed.is_set()

    def _announce_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        with self._counting:
            self.retries += 1
            if isinstance(error, errors.RateLimitError):
                self._resume_at = max(self._resume_at, time.monotonic() + state.upcoming_sleep)
                self._pace.refused(self._resume_at)
        log.warning("%s; trying again in %.1f s", error, state.upcoming_sleep)

    def _try(self, path: str, params: Mapping[str, str], end: float) -> Page:
        self._closed.wait(self._pace.turn())
        if self._closed.is_set():
            raise errors.HostUnreachableError("the client was closed")
        answer = self._ask(path, params, end)
        # raised out here, an error holds neither one of requests' errors, with the token, nor the body
        if isinstance(answer, errors.TolokaError):
            raise answer
        self._pace.granted()
        return answer

    def _ask(self, path: str, params: Mapping[str, str], end: float) -> Page | errors.TolokaError:
        with self._counting:
            self.requests += 1
        sent_at = datetime.now(UTC)
        seconds = max(min(self.policy.request_seconds, end - time.monotonic()), _LEAST_SECONDS)
        self._adapter.exchange.deadline = time.monotonic() + seconds
        try:
            with self._session.get(
                f"{self.base_url}/{path}", params=params, timeout=seconds, stream=True, allow_redirects=False
            ) as response:
                body = _read_body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            cause = _first_cause(error)
            reason = self._token.hide(f"{type(cause).__name__}: {cause}")
            return responses.unreachable(self.base_url, self._host, error, reason)
        if response.status_code != HTTPStatus.OK:
            return responses.refusal(response, body, path, self._token.hide)
        if len(body) > _MOST_BYTES:
            return errors.ProtocolError(f"{path}: the page has more than {_MOST_BYTES // 10**6} MB")
        try:
            page = responses.parse_page(body, keeps_nul=self._keeps_nul)
        except responses.BROKEN as error:
            return responses.not_a_page(response, body, path, error, self._token.hide)
        return Page(page.items, page.has_more, to_millisecond(self._as_of(response, sent_at)))

    def _as_of(self, response: requests.Response, sent_at: datetime) -> datetime:
        server = responses.server_time(response)
        if server is None:
            return sent_at
        if server - sent_at > _CLOCK_TOLERANCE and not self._clock_warned:
            self._clock_warned = True
            log.warning("the API's clock is %s ahead of this machine's: check the time here", server - sent_at)
        return min(server, sent_at)


def _first_cause(error: BaseException) -> BaseException:
    """Return the error at the bottom of the chain: the others quote it, each with an address in front."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    return error


def _read_body(response: requests.Response) -> bytes:
    """Return the body, or as much of it as is looked at and a byte more: a whole page, of all else the beginning."""
    is_page = response.status_code == HTTPStatus.OK and not responses.is_html(response)
    # a web page tells what it is by its beginning, even if it never ends
    most = _MOST_BYTES if is_page else _MOST_HTML if responses.is_html(response) else _MOST_ERROR_BYTES
    # what says its length is read at once: of pieces urllib3 makes copies, a third of the time of a page
    length = None if "Content-Encoding" in response.headers else response.raw.length_remaining
    is_short = length is not None and length <= most
    pieces: list[bytes] = []
    left = most + 1
    try:
        while left > 0:
            piece = response.raw.read(None if is_short else min(left, _PIECE_BYTES), decode_content=True)
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
    except (urllib3.exceptions.HTTPError, OSError):
        if is_page:
            raise
        return b""  # the status alone tells enough, and so does HTML
    return b"".join(pieces)


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
