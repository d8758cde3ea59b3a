"""Answers of a server that means harm: none stops the loads, shows the token or reaches the terminal raw."""

import base64
import gc
import gzip
import html
import json
import math
import sys
import traceback
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from email.utils import format_datetime
from urllib.parse import quote

import pytest
from dlt.extract.exceptions import ResourceExtractionError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.amounts import amount
from tests.api.test_client import ONCE, PAGE, TOKEN, fail, read, serving
from toloka_source import errors, toloka
from toloka_source.api import client, responses
from toloka_source.api.token import Token
from toloka_source.destinations.failures import causes
from toloka_source.emulator import Emulator, Fault

MIXED = "x+y/z&token<0123456789>"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "connection: close", "", ""]).encode("latin-1") + body


def ask(said: bytes) -> errors.TolokaError:
    with serving(said) as (port, _):
        return fail(f"http://127.0.0.1:{port}")


def traced(said: bytes) -> tuple[errors.TolokaError, int]:
    """Return the error, and how many bytes were held at most on the way to it."""
    tracemalloc.start()
    try:
        error = ask(said)
        return error, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# bodies without end


@pytest.mark.parametrize("zipped", [True, False])
def test_a_page_that_is_too_large_is_no_page(monkeypatch: pytest.MonkeyPatch, *, zipped: bool) -> None:
    monkeypatch.setattr(client, "_MOST_BYTES", 10**6)
    body = b" " * 50 * 10**6
    said = answer(gzip.compress(body), "content-encoding: gzip") if zipped else answer(body)
    error, peak = traced(said)
    assert peak < 10 * 10**6
    assert type(error) is errors.ProtocolError
    assert str(error) == "projects: the page has more than 1 MB"


def test_a_value_of_many_levels_is_a_text() -> None:
    deep = b'{"a": ["]}"], "b":' * 50_000 + b"[]" + b"}" * 50_000
    page = b'{"items": [{"id": "1", "metadata": %b, "n": 5}, {"id": "2", "metadata": {"a": []}}], "has_more": false}'
    with serving(answer(page % deep)) as (port, _):
        first, second = read(f"http://127.0.0.1:{port}").items
    assert json.loads(bytes(first["metadata"])) == deep.decode()
    assert (bytes(first["n"]), bytes(second["metadata"])) == (b"5", b'{"a": []}')


def test_levels_of_something_else_are_no_page() -> None:
    # to a decoder without a limit it is JSON
    expected = errors.ServerError if sys.version_info < (3, 14) else errors.ProtocolError
    assert type(ask(answer(b"[" * 50_000 + b"]" * 50_000))) is expected


def test_brackets_in_texts_are_no_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "_STOPS_AT_LEVELS", False)
    items = [{"id": "1", "metadata": {"a": "[" * 2_000}}, {"id": "2", "metadata": {"b": [["}" * 2_000]]}}]
    for item in responses.parse_page(json.dumps({"items": items, "has_more": False}).encode()).items:
        assert {name: json.loads(bytes(value)) for name, value in item.items()} in items


@pytest.mark.parametrize("levels", [890, 901])
def test_levels_are_counted_where_the_decoder_counts_none(monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    monkeypatch.setattr(responses, "_STOPS_AT_LEVELS", False)
    deep = b"[" * levels + b"1" + b"]" * levels
    (item,) = responses.parse_page(b'{"items": [{"metadata": %b}], "has_more": false}' % deep).items
    assert bytes(item["metadata"]) == (deep if levels == 890 else json.dumps(deep.decode()).encode())


def test_a_page_of_the_greatest_size_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_MOST_BYTES", len(PAGE) + 10)
    with serving(answer(PAGE + b" " * 10)) as (port, _):
        assert len(read(f"http://127.0.0.1:{port}").items) == 1


def test_an_error_without_end_is_that_error() -> None:
    said = answer(gzip.compress(b" " * 50 * 10**6), "content-encoding: gzip", status="400 Bad Request")
    error, peak = traced(said)
    assert peak < 10 * 10**6
    assert type(error) is errors.RequestError


# the token, sent back

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "JSON": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON, each character": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[1:-1],
    "an address": lambda key: quote(key, safe=""),
    "an address in an address": lambda key: quote(quote(key, safe=""), safe=""),
    "HTML": html.escape,
    "HTML, each character": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "HTML, by sixteen": lambda key: "".join(f"&#x{ord(char):X};" for char in key),
}


@pytest.mark.parametrize("key", [TOKEN, MIXED, f"{MIXED}1", f"{MIXED}12"])
@pytest.mark.parametrize("form", FORMS)
def test_the_token_is_found_in_every_form(key: str, form: str) -> None:
    shown = Token(key).hide(f"before {FORMS[form](key)} after")
    assert shown.replace('"', "").replace("\\", "") == "before *** after"  # quotes are JSON's own


@pytest.mark.parametrize("key", [TOKEN, MIXED, f"{MIXED}1", f"{MIXED}12", "???>>>~~~?>~?>~???"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize(("before", "after"), [("", ""), ("OAuth ", ""), (":", ":"), ("u:", ""), ("user:", "x")])
def test_the_token_is_found_in_base64(key: str, encode: Callable[[bytes], bytes], before: str, after: str) -> None:
    written = encode(f"{before}{key}{after}".encode()).decode()
    shown = Token(key).hide(written)
    # what is left tells of what stands beside the key too: characters of six bits, of which some are not the key's
    first, last = math.ceil(len(before) * 8 / 6), (len(before) + len(key)) * 8 // 6
    assert shown == f"{written[:first]}***{written[last:]}"


KEY = "qZ7-xK9+mW3/vB5~jH2"


def parts(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(len(text) - length + 1)]


@pytest.mark.parametrize("form", ["as it is", "JSON", "JSON, each character", "an address", "HTML", "base64"])
@pytest.mark.parametrize(
    "body",
    [
        '{{"code": "{0}", "message": "{0}", "request_id": "{0}"}}',
        "<title>{0}</title>",
        "no JSON, but {0}",
        '"' + "x" * 90 + '{0}"',
        '{{"message": "' + "x" * 290 + '{0}"}}',
        "<title>" + "x" * 290 + "{0}</title>",
    ],
)
@pytest.mark.parametrize("status", ["400 {0}", "503 {0}", "200 OK"])
def test_no_error_shows_a_token_that_was_sent_back(form: str, body: str, status: str) -> None:
    written = base64.b64encode(KEY.encode()).decode() if form == "base64" else FORMS[form](KEY)
    with (
        serving(answer(body.format(written).encode(), status=status.format(written))) as (port, _),
        client.Client(f"http://127.0.0.1:{port}", KEY, ONCE) as reader,
        pytest.raises(errors.TolokaError) as caught,
    ):
        reader.get_page("projects", {})
    shown = f"{caught.value!r} {vars(caught.value)}"
    assert not [part for part in parts(KEY, 4) if part in shown]
    assert not [part for part in parts(written, 9) if part in shown]


# heads


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    assert str(errors.TolokaError("a\x1b[31m red\r\nword\u2028")) == "a [31m red word"


def test_a_status_line_is_shown_in_one_short_line() -> None:
    error = ask(b"HTTP/1.1 abc\x1b[31mred\x07" + b"x" * 60_000 + b"\r\n\r\n")
    assert str(error).isprintable()
    assert len(str(error)) <= 300


def test_headers_that_are_none_reach_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with serving(answer(PAGE, "no header", f": {TOKEN} \x1b[31m")) as (port, _):
        assert len(read(f"http://127.0.0.1:{port}").items) == 1
    assert caplog.text == ""


def test_an_answer_that_is_refused_leaves_no_socket_open() -> None:
    error = ask(answer(PAGE, "content-length: 5", "content-length: 6"))
    assert type(error) is errors.ServerError
    gc.collect()  # a socket that was left open is a warning, and so an error


@pytest.mark.parametrize("year", [1000, 1971, 9999])
@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Wed, 01 Jan 1000 00:00:00 GMT"])
def test_clocks_of_another_age(year: int, date: str) -> None:
    after = f"Mon, 01 Jan {year} 00:00:00 GMT"
    error = ask(answer(b"", f"date: {date}", f"retry-after: {after}", status="503 Busy"))
    assert type(error) is errors.ServerError


def test_a_page_from_the_year_1000_moves_no_cursor_there() -> None:
    with serving(answer(PAGE, "date: Wed, 01 Jan 1000 00:00:00 GMT")) as (port, _):
        assert read(f"http://127.0.0.1:{port}").as_of.year >= 2026


texts = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=40)
values = st.one_of(
    texts,
    st.sampled_from(["gzip", "deflate, gzip", "chunked", "-1", "1e9", "text/html", "identity", "application/json"]),
    st.integers(-(10**6), 10**12).map(str),
    st.datetimes().map(format_datetime),
)
names = st.sampled_from(
    ["content-length", "content-encoding", "transfer-encoding", "content-type", "date", "retry-after", "location"]
)
heads = st.lists(st.tuples(names | texts, values).map(": ".join), max_size=5)
documents = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=10), st.lists, max_leaves=5)
details = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["code", "message", "request_id", "payload", "items", "has_more"], documents)
)
bodies = st.one_of(st.binary(max_size=200), details.map(lambda value: json.dumps(value).encode()), st.just(PAGE))


@settings(max_examples=amount(quick=50, full=500, long=10_000))
@given(
    status=st.one_of(st.integers(100, 999).map(str), texts),
    headers=heads,
    body=bodies,
    zipped=st.booleans(),
)
def test_whatever_a_server_sends_an_error_is_ours(status: str, headers: list[str], body: bytes, zipped: bool) -> None:  # noqa: FBT001
    said = answer(gzip.compress(body) if zipped else body, *headers, status=status)
    with serving(said) as (port, _), suppress(errors.TolokaError):
        read(f"http://127.0.0.1:{port}", client.RetryPolicy(attempts=1, request_seconds=5))


# what a crash reporter shows


def test_no_frame_of_ours_holds_the_token(api: Emulator) -> None:
    api.fail(Fault.status(401), times=None)
    with pytest.raises(ResourceExtractionError) as refused:
        list(toloka(token=TOKEN, base_url=api.base_url).projects)
    with pytest.raises(errors.ConfigurationError) as wrong:
        toloka(token=TOKEN, base_url=api.base_url, max_concurrency=0)
    for error in (refused.value, wrong.value):
        for cause in causes(error):
            for frame, _ in traceback.walk_tb(cause.__traceback__):
                if "/toloka_source/" in frame.f_code.co_filename and "/tests/" not in frame.f_code.co_filename:
                    assert TOKEN not in repr(frame.f_locals), frame.f_code.co_qualname


@pytest.mark.parametrize(
    "address",
    ["user:secret@toloka.dev", "https:user:secret@toloka.dev/x", "https://toloka.dev/?token=secret", "//a#secret"],
)
def test_an_address_that_cannot_be_used_shows_no_secret(address: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        toloka(token="any", base_url=address)  # noqa: S106 - no secret
    assert caught.value.field == "base_url"
    assert "secret" not in f"{caught.value} {caught.value.value}"
