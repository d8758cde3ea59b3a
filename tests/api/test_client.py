"""The client on its own: what it sends, what it makes of answers, and that it keeps the token to itself."""

import json
import logging
import pickle
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from tests.api.test_faults import FAULTS, Row, Waits, waits
from toloka_source import errors
from toloka_source.api import responses
from toloka_source.api.client import Client, Page, RetryPolicy
from toloka_source.api.connection import DeadlineAdapter, base_address
from toloka_source.catalog.endpoints import PROJECTS
from toloka_source.emulator import Emulator, Fault
from toloka_source.emulator.faults import Exchange
from toloka_source.scan.pages import read_pages
from toloka_source.window import Window

__all__ = ["waits"]

TOKEN = "the-token-0123456789"  # noqa: S105 - not a secret
PAGE = b'{"items": [{"id": "1"}], "has_more": false}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
ONCE = RetryPolicy(attempts=1)

Answer = Callable[[socket.socket, bytes], None]


@contextmanager
def serving(answer: bytes | Answer, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Answer one request on each connection; yield the port, and the requests as they come."""
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                connection.settimeout(5)
                if tls is None:
                    converse(connection)
                else:
                    with tls.wrap_socket(connection, server_side=True) as secure:
                        converse(secure)

    def converse(connection: socket.socket) -> None:
        received.append(connection.recv(65536))
        if isinstance(answer, bytes):
            connection.sendall(answer)
        else:
            answer(connection, received[-1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], received
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def read(base_url: str, policy: RetryPolicy = ONCE, sleep: Callable[[float], None] = time.sleep) -> Page:
    with Client(base_url, TOKEN, policy, sleep) as client:
        return client.get_page("projects", {})


def fail(base_url: str, policy: RetryPolicy = ONCE, sleep: Callable[[float], None] = time.sleep) -> errors.TolokaError:
    with pytest.raises(errors.TolokaError) as caught:
        read(base_url, policy, sleep)
    return caught.value


# the token


def everything_in(error: BaseException) -> Iterator[str]:
    """Yield all that a log, a debugger or a crash reporter could show of an error."""
    yield "".join(repr(pickle.dumps(error, protocol)) for protocol in (0, 4))
    to_do: list[Any] = [error]
    seen: list[Any] = []
    while to_do:
        thing = to_do.pop()
        if any(thing is other for other in seen):
            continue
        seen.append(thing)
        yield f"{thing!r} {thing!s}"
        if isinstance(thing, BaseException):
            to_do += [thing.__cause__, thing.__context__, *thing.args]
            yield from _locals(thing.__traceback__)
        if isinstance(thing, dict | list | tuple | set):
            to_do += [*thing.values()] if isinstance(thing, dict) else thing
        to_do += getattr(thing, "__dict__", {}).values() if not isinstance(thing, type) else ()


def _locals(trace: TracebackType | None) -> Iterator[str]:
    while trace:
        # the tests themselves know the token
        if trace.tb_frame.f_code.co_filename != __file__:
            yield from (f"{name} = {value!r}" for name, value in trace.tb_frame.f_locals.items())
        trace = trace.tb_next


def assert_hidden(error: BaseException) -> None:
    shown = list(everything_in(error))
    assert len(shown) > 2
    assert [text for text in shown if TOKEN in text or TOKEN[:10] in text] == []


def test_the_search_finds_the_token_where_requests_keeps_it() -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get("http://127.0.0.1:9", headers={"Authorization": TOKEN}, timeout=5)
    caught.value.__traceback__ = None
    caught.value.__context__ = caught.value.__cause__ = None
    to_walk = RuntimeError()
    to_walk.__context__ = caught.value
    assert any(TOKEN in text for text in everything_in(to_walk))


@pytest.mark.parametrize("row", [row for row in FAULTS if row.times == 1], ids=lambda row: row.name)
def test_no_error_and_no_log_shows_the_token(
    api: Emulator, waits: Waits, caplog: pytest.LogCaptureFixture, row: Row
) -> None:
    caplog.set_level(logging.DEBUG)
    api.fail(row.fault(), times=None)
    policy = RetryPolicy(attempts=2, request_seconds=0.1 if row.policy.request_seconds < 1 else 30)
    with Client(api.base_url, TOKEN, policy, waits) as client:
        try:
            client.get_page("projects", {})
        except errors.TolokaError as error:
            assert_hidden(error)
        assert TOKEN not in repr(client) + repr(vars(client))
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(client)
    assert TOKEN not in caplog.text
    retries = [record for record in caplog.records if record.name == "toloka_source.api.client"]
    assert len(retries) == client.retries == client.requests - 1
    assert {(record.levelname, "\n" in record.message) for record in retries} <= {("WARNING", False)}


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 401 No\r\n\r\n{"code": "%b", "message": "no OAuth %b", "request_id": "%b"}',
        b"HTTP/1.1 502 No\r\n\r\n<title>%b %b %b</title>",
        b"HTTP/1.1 200 OK\r\n\r\n<title>%b %b %b</title>",
        b"HTTP/1.1 400 No\r\n\r\n" + b"x" * 85 + b"%b%b%b",
        b"OAuth %b %b %b",
        b"HTTP/1.1 302 No\r\nLocation: https://example.com/%b%b%b\r\n\r\n",
    ],
)
def test_a_token_that_the_server_sends_back_is_not_shown(answer: bytes) -> None:
    with serving(answer % ((TOKEN.encode(),) * 3)) as (port, received):
        assert_hidden(fail(f"http://127.0.0.1:{port}"))
    assert TOKEN.encode() in received[0]


def test_no_connection_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = fail(f"http://127.0.0.1:{port}")
    assert type(error) is errors.HostUnreachableError
    assert "check base_url" in str(error)
    assert_hidden(error)


@pytest.mark.parametrize("kind", [value for value in vars(errors).values() if isinstance(value, type)])
def test_errors_pass_between_processes(kind: type) -> None:
    error: errors.TolokaError
    if issubclass(kind, errors.ApiError):
        error = kind("said", 429, "CODE", "id", datetime(2026, 1, 1, tzinfo=UTC))
    elif issubclass(kind, errors.ConfigurationError):
        error = kind("field", "value", "remedy")
    elif issubclass(kind, errors.FileError):
        error = kind("/a/path", "disk full", "loaded, but: ")
    elif issubclass(kind, errors.BackfillError):
        error = kind([(Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)), OSError("said"))])
    elif issubclass(kind, errors.TolokaError):
        error = kind("said")
    else:
        return
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again), repr(vars(again))) == (kind, str(error), repr(vars(error)))


# addresses


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://toloka.dev/api/v1/", "https://toloka.dev/api/v1"),
        ("https://TOLOKA.dev:8443/API", "https://toloka.dev:8443/API"),
        ("http://127.0.0.1:8080/api/v1", "http://127.0.0.1:8080/api/v1"),
        ("http://127.8.9.1", "http://127.8.9.1"),
        ("HTTP://LocalHost:80", "http://localhost:80"),
        ("http://[::1]:80", "http://[::1]:80"),
        (" http://localhost:8080 \n", "http://localhost:8080"),
    ],
)
def test_an_address(base_url: str, address: str) -> None:
    assert base_address("production", base_url) == address


@pytest.mark.parametrize(
    "base_url",
    [
        "http://toloka.dev",
        "http://127.0.0.1.evil.com",
        "http://localhost.evil",
        "http://evil.localhost.com",
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://0.0.0.0",
        "http://[::ffff:8.8.8.8]",
        "http://[::]",
        "http://localhost.",
        "http://127.0.0.1.",
        "http://user@127.0.0.1",
        "http://user:password@evil.com",
        "http://127.0.0.1@evil.com",
        "http://evil.com#@127.0.0.1",
        "http://127.0.0.1\\@evil.com",
        "http://127.0.0.1\\.evil.com",
        "http://evil.com\\@127.0.0.1",
        "http://[::1].evil.com",
        "http://[::1]evil.com",
        "http://[::1%25eth0]",
        "http://127.0.0.1 .evil.com",
        "http://local\thost",
        "http://local\nhost",
        "http://ⓛocalhost",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:x",
        "http://127.0.0.1?",
        "http://127.0.0.1/?a=b",
        "http:///path",
        "http:127.0.0.1",
        "//127.0.0.1",
        "ftp://127.0.0.1",
        "https://",
        "https://user:password@toloka.dev",
        "toloka.dev",
        "",
    ],
)
def test_an_address_that_could_give_the_token_away(base_url: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        base_address("production", base_url)
    assert caught.value.field == "base_url"
    assert "password" not in str(caught.value)


@given(
    st.from_regex(
        r"https?://[a-z0-9.@:\[\]\\/%#? -]{0,20}(localhost|127\.0\.0\.1|\[::1\])[a-z.@:\\/%#? ]{0,9}", fullmatch=True
    )
)
@pytest.mark.slow
def test_an_accepted_address_means_the_same_to_requests(base_url: str) -> None:
    try:
        address = base_address("production", base_url)
    except errors.ConfigurationError:
        return
    try:
        sent_to = requests.Request("GET", f"{address}/projects").prepare().url or ""
    except requests.exceptions.InvalidURL:
        return
    parts = urllib3.util.parse_url(sent_to)
    assert f"{parts.scheme}://{parts.netloc}" == "/".join(address.split("/")[:3])
    assert parts.scheme == "https" or parts.host in ("localhost", "127.0.0.1", "[::1]")


def test_an_address_that_only_requests_finds_wrong_fails_at_once(waits: Waits) -> None:
    error = fail(f"https://{'a' * 70}.invalid", RetryPolicy(), waits)
    assert type(error) is errors.ConfigurationError
    assert waits == []
    assert_hidden(error)


# what stands between the client and the API


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate that nobody but itself vouches for."""
    folder = tmp_path_factory.mktemp("certificate")
    names = "subjectAltName=IP:127.0.0.1,DNS:toloka.invalid"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout key.pem -out cert.pem -addext"
    subprocess.run([*command.split(), names], cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both.pem")
    return context


def test_a_certificate_that_is_not_trusted_fails_at_once(tls: ssl.SSLContext, waits: Waits) -> None:
    with serving(OK, tls) as (port, received):
        error = fail(f"https://127.0.0.1:{port}", RetryPolicy(), waits)
    assert type(error) is errors.CertificateError
    assert "REQUESTS_CA_BUNDLE or SSL_CERT_FILE" in str(error)
    assert (received, waits) == ([], [])
    assert_hidden(error)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_of_a_companys_own(
    tls: ssl.SSLContext, certificate: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificate / "cert.pem"))
    with serving(OK, tls) as (port, received):
        assert len(read(f"https://127.0.0.1:{port}").items) == 1
        error = fail(f"https://localhost:{port}")
    assert type(error) is errors.CertificateError
    assert "not valid for 'localhost'" in str(error)
    assert len(received) == 1
    monkeypatch.setenv(variable, "/not/there.pem")
    assert f"{variable} = '/not/there.pem': no such file" in str(fail("https://127.0.0.1"))
    # without TLS it doesn't matter
    assert type(fail("http://127.0.0.1:9")) is errors.HostUnreachableError


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_dripping_over_tls_ends(
    tls: ssl.SSLContext, certificate: Path, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    with serving(drip, tls) as (port, _):
        error = fail(f"https://127.0.0.1:{port}", RetryPolicy(attempts=1, request_seconds=0.3))
    assert type(error) is errors.HostUnreachableError
    assert "in time" in str(error)
    assert_hidden(error)


def test_another_host_is_reached_through_the_proxy_and_gets_only_our_token(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    inside = []

    def tunnel(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with tls.wrap_socket(connection, server_side=True) as secure:
            inside.append(secure.recv(65536))
            secure.sendall(OK)

    netrc = own_folder / ".netrc"
    netrc.write_text("machine toloka.invalid login somebody password other\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    with serving(tunnel) as (port, received):
        monkeypatch.setenv("HTTPS_PROXY", f"http://name:password@127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "")
        read("https://toloka.invalid/api/v1")
    assert received[0].startswith(b"CONNECT toloka.invalid:443 ")
    assert TOKEN.encode() not in received[0]
    assert re.findall(rb"(?im)^authorization: (.*)\r$", inside[0]) == [f"OAuth {TOKEN}".encode()]


def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, received):
        monkeypatch.setenv("HTTPS_PROXY", f"http://name:password@127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "")
        error = fail("https://toloka.invalid/api/v1")
    assert type(error) is errors.HostUnreachableError
    assert "407" in str(error)
    assert "the proxy" in str(error)
    assert not [text for text in everything_in(error) if "password" in text]
    assert TOKEN.encode() not in received[0]


def test_this_machine_is_reached_without_a_proxy(api: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as (port, received):
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "")
        assert read(api.base_url).items == []
    assert received == []


def test_netrc_is_not_used_for_this_machine(api: Emulator, monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    (own_folder / ".netrc").write_text("default login somebody password other\n")
    (own_folder / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(own_folder))
    read(api.base_url)
    assert api.requests[0].headers["authorization"] == f"OAuth {TOKEN}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{}/trainings", "http://[", "https://\ud7ff.x\x00", "", "//evil.com", "x:y"])
def test_no_redirect_is_followed(api: Emulator, status: int, location: str) -> None:
    answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location.format(api.base_url)}\r\ncontent-length: 0\r\n\r\n"
    with serving(answer.encode()) as (port, received):
        error = fail(f"http://127.0.0.1:{port}")
    assert type(error) is errors.RequestError
    assert error.status == status
    assert "a redirect; check base_url" in str(error)
    assert (len(received), api.requests) == (1, [])


# error bodies


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.RequestError),
        (403, errors.PermissionDeniedError),
        (429, errors.RateLimitError),
        (500, errors.ServerError),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b'{"message": "\xff"}',
        b'{"code": 5, "message": ["a"], "request_id": {"b": 1}, "payload": [1]}',
        b'{"code": true, "payload": {"interval": ["MIN"]}}',
        b'{"code": %b}' % (b"9" * 5_000),
        b'{"code": "A", "message": "two\\nlines \\u001b[31m \\ud83d"}',
        b'{"message": "%b"}' % (b"m" * 10_000_000),
        b"x" * 10_000_000,
        b"[" * 1_000_000,
        b"<html>" + b"x" * 10_000_000,
        b"<title>" * 100_000,
    ],
    ids=lambda body: f"{body[:25]!r}" if isinstance(body, bytes) else None,
)
def test_an_error_body_of_any_shape(api: Emulator, status: int, kind: type[errors.ApiError], body: bytes) -> None:
    api.fail(Fault.body(body, status=status))
    error = fail(api.base_url)
    assert type(error) is kind
    assert error.status == status
    assert f"projects: HTTP {status}" in str(error)
    assert len(str(error)) < 1_000
    assert str(error).isprintable()


@pytest.mark.parametrize("status", [400, 401, 503])
def test_an_error_whose_body_is_cut_is_still_that_error(status: int) -> None:
    cut = b"HTTP/1.1 %d No\r\ncontent-length: 100\r\n\r\n{" % status
    with serving(cut) as (port, _):
        error = fail(f"http://127.0.0.1:{port}")
    assert isinstance(error, errors.ApiError)
    assert error.status == status


def test_an_error_keeps_its_parts(api: Emulator) -> None:
    body = {"request_id": "r-1", "code": "VALIDATION_ERROR", "message": "Wrong limit", "payload": {}}
    api.fail(Fault.body(msgspec.json.encode(body), status=400))
    error = fail(api.base_url)
    assert isinstance(error, errors.RequestError)
    assert (error.status, error.code, error.request_id) == (400, "VALIDATION_ERROR", "r-1")
    assert str(error) == "projects: HTTP 400, VALIDATION_ERROR: Wrong limit (request_id r-1)"


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 502])
def test_html_is_reported_as_a_proxys(api: Emulator, status: int) -> None:
    api.fail(Fault.status(status, html=True) if status != 200 else Fault.html_200())
    text = str(fail(api.base_url))
    assert f"a proxy answered in HTML instead of the API: '{status} " in text
    assert ("HTML came instead of JSON" in text) == (status == 200)


@pytest.mark.parametrize("drop", [b"<p>", b"<p>" * 10_000], ids=["drips", "floods"])
@pytest.mark.slow
def test_html_for_ever(api: Emulator, drop: bytes) -> None:
    sent = 0

    async def act(exchange: Exchange) -> None:
        nonlocal sent
        exchange.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n")
        while not exchange.transport.is_closing():
            exchange.transport.write(drop)
            sent += len(drop)
            await exchange.pause(0.02)

    api.fail(Fault("html for ever", act), times=None)
    error = fail(api.base_url, RetryPolicy(attempts=2, request_seconds=2))
    assert sent < 1_000_000  # a flood is left at its beginning
    assert isinstance(error, errors.ServerError)
    assert "HTML came instead of JSON" in str(error)


def test_no_message_is_long(api: Emulator) -> None:
    project = api.account.create_project()
    many = [project | {"id": f"{number}"} for number in range(1_000, 1_300)]
    faults = [
        Fault.replace_page(lambda _: {"items": [*many, many[0]], "has_more": True}),
        Fault.replace_page(lambda _: {"items": [{"id": "9" * 5_000}, {"id": "1"}], "has_more": True}),
        Fault.replace_page(lambda _: {"items": "x" * 5_000, "has_more": "y" * 5_000}),
        Fault.body(
            msgspec.json.encode({"code": "x" * 5_000, "message": "y" * 5_000, "request_id": "z" * 5_000}), status=400
        ),
        Fault.body(b"<title>" + b"x" * 5_000, status=502),
        Fault.body(b"x" * 5_000, status=404),
    ]
    for fault in faults:
        api.clear_faults()
        api.fail(fault, times=None)
        with (
            Client(api.base_url, "secret", RetryPolicy(attempts=1)) as client,
            pytest.raises(errors.TolokaError) as caught,
        ):
            list(read_pages(client, PROJECTS, {}, workers=4))
        assert len(str(caught.value)) <= 300, fault
    with pytest.raises(errors.ConfigurationError) as refused:
        PROJECTS.check_filters({"x" * 5_000: "y"})
    assert len(str(refused.value)) <= 300


# waiting


@pytest.mark.parametrize("fault", [{"interval": "HOUR"}, {"interval": "DAY"}], ids=lambda fault: fault["interval"])
def test_a_quota_says_when_to_come_back(api: Emulator, fault: dict[str, str]) -> None:
    api.fail(Fault.status(429, fault))
    error = fail(api.base_url)
    assert isinstance(error, errors.QuotaError)
    assert error.retry_at is not None
    expected = timedelta(hours=1) if fault["interval"] == "HOUR" else timedelta(days=1)
    assert timedelta() <= datetime.now(UTC) + expected - error.retry_at < timedelta(minutes=1)
    assert f"come back at {error.retry_at:%Y-%m-%d %H:%M:%S} UTC" in str(error)


def test_who_was_refused_goes_on_at_a_pace(api: Emulator) -> None:
    api.fail(Fault.status(429))
    times: list[float] = []
    api.before_request = lambda _number, _resource: times.append(time.monotonic())
    with Client(api.base_url, "secret") as client:
        for _ in range(3):
            client.get_page("projects", {})
    _refused, *granted = times
    assert granted[-1] - granted[0] > 0.05  # at five a second, and soon faster


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", ["301", "86400", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_beyond_the_budget_is_refused_at_once(api: Emulator, waits: Waits, status: int, asked: str) -> None:
    api.fail(Fault.status(status, retry_after=asked))
    error = fail(api.base_url, RetryPolicy(), waits)
    assert isinstance(error, errors.TemporaryError)
    assert error.retry_at is not None
    assert error.retry_at > datetime.now(UTC) + timedelta(seconds=299)
    assert f"come back at {error.retry_at:%Y-%m-%d %H:%M:%S} UTC" in str(error)
    assert (waits, len(api.requests)) == ([], 1)


def test_waits_add_up_to_the_budget(api: Emulator, waits: Waits) -> None:
    api.fail(Fault.status(503, retry_after=100), times=None)
    fail(api.base_url, RetryPolicy(), waits)
    assert len(api.requests) == 3
    assert 200 <= sum(waits) <= 201


def test_waits_are_random_and_grow(api: Emulator, waits: Waits) -> None:
    api.fail(Fault.status(500), times=None)
    for _ in range(5):
        fail(api.base_url, RetryPolicy(), waits)
    assert len(set(waits)) == len(waits) == 35
    for number in range(7):
        assert max(waits[number::7]) <= 0.5 * 2**number


@pytest.mark.parametrize("asked", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_waits_grow_even_if_the_api_asks_for_none(api: Emulator, waits: Waits, asked: str) -> None:
    api.fail(Fault.status(429, retry_after=asked), times=None)
    fail(api.base_url, RetryPolicy(), waits)
    assert len(waits) == 7
    assert max(waits) > 0.25


def test_the_last_try_has_only_the_time_that_is_left(api: Emulator) -> None:
    api.fail(Fault.hang(60), times=None)
    began = time.monotonic()
    error = fail(api.base_url, RetryPolicy(seconds=0.5, request_seconds=60))
    assert isinstance(error, errors.HostUnreachableError)
    assert time.monotonic() - began < 20


def test_a_wait_can_be_interrupted(api: Emulator) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    api.fail(Fault.status(503, retry_after=60), times=None)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            read(api.base_url, RetryPolicy())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 20
    assert len(api.requests) == 1


def test_threads_share_a_client_and_each_has_its_own_deadline(api: Emulator) -> None:
    with (
        Client(api.base_url, TOKEN, RetryPolicy(attempts=1, request_seconds=1)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        api.fail(Fault.drip(0.02), at=3)
        answers_of_threads = [pool.submit(client.get_page, "projects", {}) for _ in range(200)]
        failed = [error for answer in answers_of_threads if (error := answer.exception())]
        assert [type(error) for error in failed] == [errors.HostUnreachableError]
        assert client.requests == len(api.requests) == 200


def test_connections_are_kept(api: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "urllib3")
    with Client(api.base_url, TOKEN) as client:
        for _ in range(5):
            client.get_page("projects", {})
    assert caplog.text.count("Starting new HTTP connection") == 1


def _response(**headers: str) -> requests.Response:
    response = requests.Response()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


moments = st.datetimes(datetime(1990, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis wants them naive
    lambda moment: moment.replace(microsecond=0)
)


@given(seconds=st.integers(0, 10**9) | st.floats(0, 10**9).map(lambda number: round(number, 3)))
def test_retry_after_in_seconds(seconds: float) -> None:
    text = f"{seconds:.3f}" if isinstance(seconds, float) else str(seconds)
    moment = responses.retry_after(_response(Retry_After=f" {text} "))
    assert moment is not None
    assert abs(moment - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=20)


@given(server=moments, wait=st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_goes_by_the_servers_clock(server: datetime, wait: int) -> None:
    date = format_datetime(server + timedelta(seconds=wait), usegmt=True)
    moment = responses.retry_after(_response(Date=format_datetime(server, usegmt=True), Retry_After=date))
    assert moment is not None
    assert abs(moment - datetime.now(UTC) - timedelta(seconds=wait)) < timedelta(seconds=20)


@given(text=st.text(st.characters(codec="latin-1")) | st.from_regex("[0-9A-Za-z:,+ -]{1,40}"), date=st.text())
def test_any_retry_after_is_a_moment_or_nothing(text: str, date: str) -> None:
    moment = responses.retry_after(_response(Date=date, Retry_After=text))
    assert moment is None or moment.tzinfo is UTC


# odd JSON


def test_a_page_that_is_wrong_and_cut_is_asked_for_again(api: Emulator, waits: Waits) -> None:
    api.fail(Fault.body(b'{"items": null, "has_mo'))
    assert read(api.base_url, RetryPolicy(), waits).items == []
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"\ude00", "\ufffd"),
        (rb"\uD83D\uDE00", "😀"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\u0041", "\ufffdA"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\\\\ud83d\ud83d", r"\\ud83d" + "\ufffd"),
        (rb"\"\ud83d\n", '"\ufffd\n'),
    ],
)
def test_lone_surrogates_become_the_sign_for_it(api: Emulator, text: bytes, meant: str) -> None:
    api.fail(Fault.body(b'{"items": [{"id": "1", "%b": "%b", "x": "\\ud83d"}], "has_more": false}' % (text, text)))
    (item,) = read(api.base_url).items
    assert msgspec.json.decode(item[meant]) == meant
    assert len(api.requests) == 1


@given(st.text(st.characters() | st.sampled_from('\ud83d\ude00\\u"\ud83d'), min_size=1))
def test_text_survives_but_for_lone_surrogates(text: str) -> None:
    body = b'{"items": [{"a": %b}], "has_more": false}' % json.dumps(text).encode()  # msgspec's own can't write them
    # a pair that was written as two halves is a whole
    meant = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert msgspec.json.decode(responses.parse_page(body).items[0]["a"]) == meant


def test_a_closed_adapter_makes_no_connection() -> None:
    adapter = DeadlineAdapter(1)
    adapter.close()
    session = requests.Session()
    session.mount("http://", adapter)
    with pytest.raises(requests.ConnectionError, match="closed"):
        session.get("http://127.0.0.1:1")
