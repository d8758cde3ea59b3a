"""How the API is reached: its addresses, the token's header, whom to trust, and a deadline for every answer."""

import io
import math
import os
import re
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
from dlt.sources.helpers.requests import Session
from requests.adapters import HTTPAdapter

from toloka_source import errors
from toloka_source.api.token import Token

HOSTS = {
    "production": "https://toloka.dev/api/v1",
    "sandbox": "https://sandbox.toloka.dev/api/v1",
}
"""The API's base address for each environment."""

_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_ADDRESS = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?(/[!-\[\]-~]*)?")


class Authorization(requests.auth.AuthBase):
    """Sets the header. As an `auth` object it also keeps requests from taking a password of ~/.netrc instead."""

    def __init__(self, token: Token) -> None:
        """Take the token."""
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the request's header."""
        request.headers["Authorization"] = self._token.header()
        return request


class _Exchange(threading.local):
    """What a thread asks just now: until when it waits, and what it is answered."""

    deadline = math.inf
    answer: HTTPResponse | None = None


class DeadlineAdapter(HTTPAdapter):
    """Ends every answer at a deadline, which each thread has its own of.

    requests' own time-out is for each read alone: headers, a body, chunks or gzip that drip would never end.
    """

    def __init__(self, connections: int) -> None:
        """Keep up to so many connections open."""
        super().__init__(pool_maxsize=connections)
        self.exchange = _Exchange()
        self._sockets: WeakSet[Any] = WeakSet()
        self._changing = threading.Lock()
        self._is_closed = False

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it was
        """Return the pool as requests does, with connections that read until the deadline."""
        with self._changing:
            if self._is_closed:  # requests would make a new pool, which nobody closes
                raise requests.ConnectionError("the client was closed")
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        base = type(pool).ConnectionCls
        pool.ConnectionCls = type(base.__name__, (base,), {"response_class": staticmethod(self._response)})
        return pool

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as it was
        """Send as requests does; an answer that urllib3 refuses is closed, which urllib3 leaves to chance."""
        try:
            return super().send(*args, **kwargs)
        except BaseException:
            if self.exchange.answer:
                self.exchange.answer.close()
            raise
        finally:
            self.exchange.answer = None

    def close(self) -> None:
        """Close all connections, those also that some thread is reading from: it gets an error at once."""
        with self._changing:
            self._is_closed = True
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            super().close()

    def _response(self, connection: Any, *args: Any, **kwargs: Any) -> HTTPResponse:  # noqa: ANN401 - plain or TLS
        with self._changing:
            self._sockets.add(connection)
        self.exchange.answer = _Answer(_TimedReader(connection, self.exchange), *args, **kwargs)  # type: ignore[arg-type]
        return self.exchange.answer


class _Answer(HTTPResponse):
    """An answer of which urllib3 logs nothing: it would quote headers that are none, whatever is in them."""

    def begin(self) -> None:
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


class _TimedReader(io.RawIOBase):
    """Reads from a connection until the deadline; stands in for the socket that `HTTPResponse` wants."""

    def __init__(self, connection: Any, exchange: _Exchange) -> None:  # noqa: ANN401 - plain or TLS
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        self._exchange = exchange

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        left = self._exchange.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class NoRedirectSession(Session):
    """Takes no redirect for one: requests would work out the next request even if it isn't to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target."""


def is_loopback(host: str) -> bool:
    """Tell whether a host's name means this machine, whatever a name server says."""
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
    errors.check_choice("environment", environment, HOSTS)
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
        shown = re.sub("[^/]*@", "***@", re.split(r"[?#]", base_url)[0])  # passwords are nobody's business
        raise errors.ConfigurationError("base_url", shown, "not an address such as https://toloka.dev/api/v1")
    if parts.scheme == "http" and not is_loopback(host):
        remedy = "http:// would send the token in the clear; use https://"
        raise errors.ConfigurationError("base_url", base_url, remedy)
    return address.rstrip("/")


def ca_bundle() -> str | bool:
    """Return the file of the authorities to trust that the environment names, else True for requests' own.

    Raises:
        ConfigurationError: The file isn't there.
    """
    for name in _CA_BUNDLES:
        path = os.environ.get(name)
        if path:
            if not Path(path).exists():
                raise errors.ConfigurationError(name, path, "no such file")
            return path
    return True
