"""Every way in which the API or the network can fail, at the first, a middle and the last page: what becomes of it."""

import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from starlette.responses import Response

from tests.conftest import NOON
from toloka_source import errors
from toloka_source.api.client import Client, RetryPolicy
from toloka_source.catalog.endpoints import PROJECTS
from toloka_source.emulator import Account, Clock, Emulator, Fault
from toloka_source.emulator.faults import Exchange
from toloka_source.scan.pages import read_pages

PAGES = 5
TWO_A_PAGE = replace(PROJECTS, page_size=2)
PATIENT = RetryPolicy(request_seconds=30)
HASTY = RetryPolicy(request_seconds=0.4)
BACKOFF = 0.5
"""The longest wait before the second try, when the API doesn't ask for one."""


@dataclass(frozen=True)
class Row:
    """One fault, and what has to become of it.

    Attributes:
        name: What happens.
        fault: Makes it happen.
        error: The error that a run ends with; None if it goes on and gets all objects.
        requests: How often the page is asked for.
        wait: The least and the most seconds that are waited between all of them.
        times: How many requests fail in a row; None for all from there on.
        policy: How long to try.
    """

    name: str
    fault: Callable[[], Fault]
    error: type[errors.TolokaError] | None = None
    requests: int = 2
    wait: tuple[float, float] = (0, BACKOFF)
    times: int | None = 1
    policy: RetryPolicy = PATIENT


def _refused(name: str, fault: Callable[[], Fault], error: type[errors.TolokaError], requests: int = 1) -> Row:
    return Row(name, fault, error, requests, wait=(0, 0), times=requests)


def _page(change: Callable[[dict[str, Any]], Any]) -> Callable[[], Fault]:
    return lambda: Fault.replace_page(change)


def _without(name: str) -> Callable[[], Fault]:
    return _page(lambda page: {key: value for key, value in page.items() if key != name})


def _more(items: object) -> Callable[[], Fault]:
    return _page(lambda _: {"items": items, "has_more": True})


def _twice(second: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[], Fault]:
    """Answer rightly, but that more follows; then with what the function makes of that page."""

    def make() -> Fault:
        pages: list[dict[str, Any]] = []

        def change(page: dict[str, Any]) -> dict[str, Any]:
            pages.append(page | {"has_more": True})
            return pages[0] if len(pages) == 1 else second(pages[0])

        return Fault.replace_page(change)

    return make


def _drip(head: bytes, drop: bytes, prefix: bytes = b"") -> Callable[[], Fault]:
    """Send the head at once, and then the drop over and over."""

    async def act(exchange: Exchange) -> None:
        exchange.transport.write(b"HTTP/1.1 200 OK\r\n" + head + prefix)
        while not exchange.transport.is_closing():
            exchange.transport.write(drop)
            await exchange.pause(0.02)

    return lambda: Fault("drip", act)


def _cut(name: str, length: int | None, *, zipped: bool = False) -> Callable[[], Fault]:
    """Send the beginning of a page and close the connection."""

    async def act(exchange: Exchange) -> None:
        body = bytes(exchange.answer().body)
        headers = {"content-type": "application/json", "connection": "close"}
        if zipped:
            body = gzip.compress(body)
            headers["content-encoding"] = "gzip"
        exchange.begin(200, headers)
        exchange.transport.write(body[:length] if length is not None else body[: len(body) // 2])
        exchange.transport.close()

    return lambda: Fault(name, act)


def _cut_zip() -> Fault:
    async def act(exchange: Exchange) -> Response:
        body = gzip.compress(bytes(exchange.answer().body))
        return Response(body[: len(body) // 2], headers={"content-encoding": "gzip"}, media_type="application/json")

    return Fault("cut gzip", act)


def _at(seconds: int) -> str:
    return format_datetime(NOON.fromtimestamp(NOON.timestamp() + seconds, NOON.tzinfo), usegmt=True)


# an empty block of deflate: bytes that never become a byte of the body
_GZIP_HEAD, _EMPTY_BLOCK = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\x00\x00\x00\xff\xff"

FAULTS = [
    *(Row(f"status {code}", lambda code=code: Fault.status(code)) for code in (408, 429, 500, 502, 503, 504)),  # type: ignore[misc]
    Row("status 503 for good", lambda: Fault.status(503), errors.ServerError, 8, (0, 64), times=None),
    Row("status 503, Retry-After 20", lambda: Fault.status(503, retry_after=20), wait=(19.9, 20.3)),
    Row("status 429, Retry-After 20", lambda: Fault.status(429, retry_after=20), wait=(19.9, 20.3)),
    Row("status 429, Retry-After a date in 20 s", lambda: Fault.status(429, retry_after=_at(20)), wait=(19.9, 20.3)),
    Row("status 429, Retry-After not understood", lambda: Fault.status(429, retry_after="soon")),
    _refused("status 429, Retry-After 400", lambda: Fault.status(429, retry_after=400), errors.RateLimitError),
    _refused("status 503, Retry-After 400", lambda: Fault.status(503, retry_after=400), errors.ServerError),
    Row("status 429, the minute's quota", lambda: Fault.status(429, {"interval": "MIN"}), wait=(59.9, 60.3)),
    Row(
        "status 429, the minute's quota for good",
        lambda: Fault.status(429, {"interval": "MIN"}),
        errors.RateLimitError,
        requests=5,
        wait=(239.6, 241.2),
        times=None,
    ),
    _refused("status 429, the hour's quota", lambda: Fault.status(429, {"interval": "HOUR"}), errors.QuotaError),
    _refused("status 429, the day's quota", lambda: Fault.status(429, {"interval": "DAY"}), errors.QuotaError),
    _refused("status 400", lambda: Fault.status(400), errors.RequestError),
    _refused("status 401", lambda: Fault.status(401), errors.AuthenticationError),
    _refused("status 403", lambda: Fault.status(403), errors.PermissionDeniedError),
    _refused("status 404", lambda: Fault.status(404), errors.RequestError),
    _refused("status 405", lambda: Fault.status(405), errors.RequestError),
    _refused("status 204", lambda: Fault.body(b"", status=204), errors.RequestError),
    _refused("redirect", lambda: Fault.redirect("https://example.com/"), errors.RequestError),
    _refused("a proxy's HTML with status 404", lambda: Fault.status(404, html=True), errors.RequestError),
    Row("a proxy's HTML with status 502", lambda: Fault.status(502, html=True)),
    Row("a proxy's HTML with status 200", Fault.html_200),
    Row("connection reset before the answer", Fault.reset),
    Row("connection reset after the headers", lambda: Fault.reset(after_headers=True)),
    Row("no answer in time", lambda: Fault.hang(60), policy=HASTY),
    Row("headers drip", _drip(b"", b"a", b"x: "), policy=HASTY),
    Row("body drips", _drip(b"content-length: 9999\r\n\r\n", b" "), policy=HASTY),
    Row(
        "chunked body drips, inside a chunk",
        _drip(b"transfer-encoding: chunked\r\n\r\n", b" ", b"ffff\r\n"),
        policy=HASTY,
    ),
    Row(
        "chunked body drips, inside a chunk's length", _drip(b"transfer-encoding: chunked\r\n\r\n", b"0"), policy=HASTY
    ),
    Row(
        "gzip body drips, and never becomes a byte",
        _drip(b"content-encoding: gzip\r\nconnection: close\r\n\r\n", _EMPTY_BLOCK, _GZIP_HEAD),
        policy=HASTY,
    ),
    Row("body without end", lambda: Fault.drip(0, 1_000), policy=HASTY),
    Row("body cut, with Content-Length", Fault.cut_body),
    Row("body cut, chunked", Fault.cut_chunked),
    Row("body cut, last chunk missing", lambda: Fault.cut_chunked(1.0)),
    Row("body cut, neither", _cut("cut", None)),
    Row("body cut to nothing", _cut("cut", 0)),
    Row("gzip body cut, with Content-Length", _cut_zip),
    Row("gzip body cut, without", _cut("cut", None, zipped=True)),
    Row("bad gzip", Fault.bad_gzip),
    Row("broken JSON", Fault.broken_json),
    Row("JSON that isn't UTF-8", lambda: Fault.body(b'{"items": [{"\xff": 1}], "has_more": true}')),
    Row("JSON nested without end", lambda: Fault.body(b"[" * 100_000)),
    Row("keys that aren't documented", _page(lambda page: page | {"total": 1, "next": None}), requests=1, wait=(0, 0)),
    _refused("`items` missing", _without("items"), errors.ProtocolError),
    _refused("`items` null", _page(lambda page: page | {"items": None}), errors.ProtocolError),
    _refused("`items` not of objects", _page(lambda page: page | {"items": ["1"]}), errors.ProtocolError),
    _refused("`has_more` missing", _without("has_more"), errors.ProtocolError),
    _refused("`has_more` null", _page(lambda page: page | {"has_more": None}), errors.ProtocolError),
    _refused("`has_more` a text", _page(lambda page: page | {"has_more": "false"}), errors.ProtocolError),
    _refused("a list instead of a page", _page(lambda page: page["items"]), errors.ProtocolError),
    _refused("empty page, `has_more` true", _more([]), errors.ProtocolError),
    _refused("objects without ids, `has_more` true", _more([{}, {"id": None}, {"id": ""}]), errors.ProtocolError),
    _refused("ids that aren't texts, `has_more` true", _more([{"id": 1}, {"id": 2}]), errors.ProtocolError),
    _refused("an id twice in a page", _page(lambda page: page | {"items": page["items"] * 2}), errors.ProtocolError),
    _refused("ids sorted as text", _more([{"id": "100"}, {"id": "99"}]), errors.ProtocolError),
    _refused("the same page again", _twice(lambda page: page), errors.ProtocolError, requests=2),
    _refused("`id_gt` ignored", _twice(lambda page: page | {"items": [{"id": "1"}]}), errors.ProtocolError, requests=2),
]


def fault_table() -> str:
    """Return the faults as a table in Markdown."""
    lines = ["| fault | outcome | requests | after |", "|---|---|---|---|"]
    for row in FAULTS:
        outcome = "all objects, each once" if row.error is None else f"`{row.error.__name__}`"
        lines.append(f"| {row.name} | {outcome} | {row.requests} | {_after(row)} |")
    return "\n".join(lines) + "\n"


def _after(row: Row) -> str:
    least, most = row.wait
    if most == 0:
        return "no wait"
    limit = "the time-out of a request, then " if row.policy is HASTY else ""
    return f"{limit}{least:.0f} s" if least else f"{limit}up to {most:g} s"


class Waits(list[float]):
    """Stands in for `time.sleep`: keeps the waits, and puts the clock forward instead of waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take over the clock that time-outs go by."""
        super().__init__()
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + sum(self))

    def __call__(self, seconds: float) -> None:
        """Wait, so to speak."""
        self.append(seconds)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


@pytest.fixture(scope="module")
def account_of_five_pages() -> Account:
    account = Account(Clock(NOON))
    for _ in range(PAGES * TWO_A_PAGE.page_size):
        account.create_project()
    return account


@pytest.fixture(scope="module")
def five_pages(account_of_five_pages: Account) -> Iterator[Emulator]:
    with Emulator(account_of_five_pages) as emulator:
        yield emulator


def test_names_are_unique() -> None:
    assert len({row.name for row in FAULTS}) == len(FAULTS)
    assert fault_table().count("\n") == len(FAULTS) + 2


@pytest.mark.parametrize("position", [1, 3, PAGES], ids=["first", "middle", "last"])
@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.name)
def test_fault(five_pages: Emulator, waits: Waits, row: Row, position: int) -> None:
    five_pages.clear_faults()
    five_pages.clear_requests()
    five_pages.fail(row.fault(), at=position, times=row.times)
    seen: list[str] = []
    with Client(five_pages.base_url, "secret", row.policy, waits) as client:
        pages = read_pages(client, TWO_A_PAGE, {})
        if row.error is None:
            seen += (msgspec.json.decode(item["id"]) for page in pages for item in page.items)
            assert seen == five_pages.account.ids("projects")
        else:
            with pytest.raises(row.error) as caught:
                list(pages)
            assert type(caught.value) is row.error
            assert "\n" not in str(caught.value)
    after = PAGES - position if row.error is None else 0
    assert len(five_pages.requests) == client.requests == position - 1 + row.requests + after
    assert row.wait[0] <= sum(waits) <= row.wait[1]
    assert client.retries == len(waits)
