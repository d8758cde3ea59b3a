"""The emulator's faults, as a client sees them on the wire."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from toloka_source.emulator import Account, Emulator, Fault

HEADERS = {"Authorization": "OAuth x"}


@pytest.fixture
def api() -> Iterator[Emulator]:
    with Emulator(Account.lifelike(projects=4)) as running:
        yield running


def get(api: Emulator, path: str = "projects", timeout: float = 5) -> requests.Response:
    return requests.get(f"{api.base_url}/{path}", headers=HEADERS, timeout=timeout, allow_redirects=False)


def on_the_wire(api: Emulator) -> bytes:
    """Everything the server sends until it hangs up."""
    parts = urlsplit(api.base_url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=5) as connection:
        connection.sendall(b"GET /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nAuthorization: OAuth x\r\n\r\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def statuses(api: Emulator, count: int, path: str = "projects") -> list[int]:
    return [get(api, path).status_code for _ in range(count)]


def test_a_fault_comes_when_planned(api: Emulator) -> None:
    api.fail(Fault.status(503), on="projects", at=2, times=2)
    assert statuses(api, 1, "trainings") == [200]
    assert statuses(api, 5) == [200, 503, 503, 200, 200]
    assert [request.status for request in api.requests] == [200, 200, 503, 503, 200, 200]
    # Counted from when it was planned.
    api.fail(Fault.status(500), on="trainings")
    assert [*statuses(api, 1), *statuses(api, 2, "trainings")] == [200, 500, 200]


def test_several_faults(api: Emulator) -> None:
    api.fail(Fault.status(500))
    api.fail(Fault.status(502), at=2)
    api.fail(Fault.status(503))
    api.fail(Fault.status(429), on="trainings", times=None)
    assert statuses(api, 4) == [500, 502, 503, 200]
    assert statuses(api, 3, "trainings") == [429, 429, 429]
    api.clear_faults()
    assert statuses(api, 1, "trainings") == [200]
    with pytest.raises(ValueError, match="there is no list"):
        api.fail(Fault.status(500), on="assignments")


def test_an_error_in_the_apis_form(api: Emulator) -> None:
    api.fail(Fault.status(429, {"interval": "MIN"}, retry_after=3), times=2)
    response, again = get(api), get(api)
    assert response.status_code == again.status_code == 429
    assert response.headers["retry-after"] == "3"
    assert "date" in response.headers
    body = response.json()
    assert body.pop("request_id") != again.json()["request_id"]
    assert body == {"code": "TOO_MANY_REQUESTS", "message": "Too Many Requests", "payload": {"interval": "MIN"}}
    api.fail(Fault.status(409, code_name="INAPPROPRIATE_STATUS", message="Not now"))
    body = get(api).json()
    assert (body["code"], body["message"]) == ("INAPPROPRIATE_STATUS", "Not now")
    api.fail(Fault.status(599))
    assert get(api).status_code == 599


def test_html_from_a_proxy(api: Emulator) -> None:
    api.fail(Fault.status(502, html=True, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"))
    api.fail(Fault.html_200(), at=2)
    for status in (502, 200):
        response = get(api)
        assert response.status_code == status
        assert response.headers["content-type"].startswith("text/html")
        assert response.text.startswith("<html>")
        assert ("retry-after" in response.headers) is (status == 502)


def test_any_other_answer(api: Emulator) -> None:
    api.fail(Fault.body(b"\xff\x00", "text/plain", 202))
    response = get(api)
    assert (response.status_code, response.content) == (202, b"\xff\x00")
    api.fail(Fault.redirect("https://example.com/elsewhere", 301))
    response = get(api)
    assert (response.status_code, response.headers["location"]) == (301, "https://example.com/elsewhere")
    api.fail(Fault.bad_gzip())
    with pytest.raises(requests.exceptions.ContentDecodingError):
        get(api)


def test_broken_json(api: Emulator) -> None:
    api.fail(Fault.broken_json())
    response = get(api)
    assert response.status_code == 200
    assert len(response.content) == int(response.headers["content-length"])
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_a_replaced_page(api: Emulator) -> None:
    def twice(page: dict[str, Any]) -> dict[str, Any]:
        return {"items": page["items"] * 2, "has_more": True}

    api.fail(Fault.replace_page(twice))
    assert get(api).json() == {"items": api.account.projects * 2, "has_more": True}
    api.fail(Fault.replace_page(twice))
    assert requests.get(f"{api.base_url}/projects", timeout=5).status_code == 401


def test_a_body_cut_short(api: Emulator) -> None:
    whole = get(api).content
    api.fail(Fault.cut_body(), times=2)
    head, _, body = on_the_wire(api).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: %d" % len(whole) in head
    assert b"date: " in head
    assert body == whole[: len(whole) // 2]
    connection = http.client.HTTPConnection(urlsplit(api.base_url).netloc, timeout=5)
    connection.request("GET", "/api/v1/projects", headers=HEADERS)
    with connection.getresponse() as response, pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()
    assert api.requests[-1].status == 200


@pytest.mark.parametrize("keep", [0.5, 1.0])
def test_a_chunked_body_cut_short(api: Emulator, keep: float) -> None:
    whole = get(api).content
    api.fail(Fault.cut_chunked(keep), times=2)
    head, _, body = on_the_wire(api).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    size, _, rest = body.partition(b"\r\n")
    assert rest == whole[: int(len(whole) * keep)] + b"\r\n"
    assert int(size, 16) == len(rest) - 2
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(api)


def test_a_connection_reset(api: Emulator) -> None:
    api.fail(Fault.reset())
    with pytest.raises(ConnectionResetError):
        on_the_wire(api)
    assert api.requests[-1].status is None
    api.fail(Fault.reset(after_headers=True))
    connection = http.client.HTTPConnection(urlsplit(api.base_url).netloc, timeout=5)
    connection.request("GET", "/api/v1/projects", headers=HEADERS)
    with connection.getresponse() as response:
        assert response.status == 200
        with pytest.raises(ConnectionResetError):
            response.read()
    connection.close()
    assert statuses(api, 1) == [200]


def test_a_hanging_request(api: Emulator) -> None:
    api.fail(Fault.hang(0.2))
    began = time.monotonic()
    assert get(api).status_code == 200
    assert time.monotonic() - began >= 0.2
    api.fail(Fault.hang(60))
    with pytest.raises(requests.ReadTimeout):
        get(api, timeout=0.1)
    assert api.requests[-1].status is None
    assert statuses(api, 1) == [200]


def test_a_dripping_body(api: Emulator) -> None:
    api.fail(Fault.drip(0.01, 3))
    with requests.get(f"{api.base_url}/projects", headers=HEADERS, stream=True, timeout=5) as response:
        chunks = response.raw.stream(decode_content=False)
        assert [next(chunks) for _ in range(5)] == [b"   "] * 5
    assert statuses(api, 1) == [200]


@pytest.mark.parametrize("fault", [Fault.hang(60), Fault.drip(60, 1), Fault.drip(0, 1000)])
def test_stop_does_not_wait_for_slow_requests(fault: Fault) -> None:
    api = Emulator().start()
    api.fail(fault)
    parts = urlsplit(api.base_url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=5) as connection:
        connection.sendall(b"GET /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not api.requests:
            time.sleep(0.01)
        began = time.monotonic()
        api.stop()
        assert time.monotonic() - began < 1


def test_faults_come_before_the_token_is_looked_at(api: Emulator) -> None:
    api.fail(Fault.status(503))
    assert requests.get(f"{api.base_url}/projects", timeout=5).status_code == 503
    assert json.loads(requests.get(f"{api.base_url}/projects", timeout=5).content)["code"] == "AUTHENTICATION_ERROR"
