"""The API's two lists, from a process of its own that is never what a load waits for.

All objects are rendered before the first request, and HTTP is spoken in as few steps as it takes. An artificial
latency delays each answer, and nobody else's. Run as a command it prints its port, and ends when its standard input
does: no server outlives whoever started it. Beside the API there is `/control/`: see `Control`.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from time import process_time
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from urllib.request import urlopen

import msgspec

from tests.benchmarks import checks
from tests.benchmarks.dataset import State, states
from tests.benchmarks.listing import Listing

_PREFIX = "/api/v1/"
_END = b"\r\n\r\n"


class Service:
    """What all connections share: the account's states, the latency and the count of requests."""

    def __init__(self, objects: int) -> None:
        """Render the account of so many objects, in each of its states."""
        rendered: dict[int, bytes] = {}
        moments = states(objects)
        self._states = [_Served(state, rendered) for state in moments]
        self._current = self._states[0]
        self._cpu_before = 0.0
        self.latency = 0.0
        self.requests = 0

    def answer(self, target: str, head: bytes) -> tuple[float, bytes]:
        """Return an answer to a GET, and how long to wait before it is sent."""
        parts = urlsplit(target)
        parameters = dict(parse_qsl(parts.query))
        if parts.path.startswith("/control/"):
            return 0.0, self._response(HTTPStatus.OK, self._control(parts.path.rpartition("/")[2], parameters))
        self.requests += 1
        listing = self._current.lists.get(parts.path.removeprefix(_PREFIX))
        if listing is None:
            return self.latency, self._error(HTTPStatus.NOT_FOUND)
        if b"\r\nauthorization: oauth " not in head.lower():
            return self.latency, self._error(HTTPStatus.UNAUTHORIZED)
        try:
            return self.latency, self._response(HTTPStatus.OK, listing.page(parameters))
        except ValueError:
            return self.latency, self._error(HTTPStatus.BAD_REQUEST)

    def _control(self, action: str, parameters: dict[str, str]) -> bytes:
        if action == "begin":
            self._current = self._states[int(parameters["state"])]
            self.latency = float(parameters["latency"])
            self.requests = 0
            self._cpu_before = process_time()
        told = {
            "requests": self.requests,
            "cpu": process_time() - self._cpu_before,
            "facts": self._current.facts,
        }
        return msgspec.json.encode(told)

    def _error(self, status: HTTPStatus) -> bytes:
        body = {"request_id": "0", "code": status.name, "message": status.phrase}
        return self._response(status, msgspec.json.encode(body))

    def _response(self, status: HTTPStatus, body: bytes) -> bytes:
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nDate: {self._current.date}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class _Served:
    """One state of the account, ready to be sent; what several states have in common is rendered once."""

    def __init__(self, state: State, rendered: dict[int, bytes]) -> None:
        self.lists = {name: Listing(items, rendered) for name, items in state.lists.items()}
        self.facts = checks.of_objects(state.lists)
        self.date = format_datetime(state.now.replace(tzinfo=UTC), usegmt=True)


class _Connection(asyncio.Protocol):
    """Reads requests without a body, one after the other, and answers in their order."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._buffer = (self._buffer + data).split(_END)
        for head in heads:
            target = head.split(b" ", 2)[1].decode()
            delay, answer = self._service.answer(target, head)
            if delay:
                asyncio.get_running_loop().call_later(delay, self._send, answer)
            else:
                self._send(answer)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


class Control:
    """A server from outside: `base_url` for the rivals, and the words that only the benchmark says."""

    def __init__(self, port: int) -> None:
        """Attach to the server on that port of this machine."""
        self._address = f"http://127.0.0.1:{port}"
        self.base_url = self._address + _PREFIX.removesuffix("/")

    def begin(self, state: int, latency: float) -> None:
        """Serve a state (its place in `dataset.states`) with a latency in seconds, and count requests from 0."""
        self._ask(f"begin?state={state}&latency={latency}")

    def tell(self) -> dict[str, Any]:
        """Return what the server knows.

        Since the beginning: `requests`, and the server's own `cpu` seconds. Of the state: its `facts`.
        """
        return self._ask("tell")

    def _ask(self, what: str) -> dict[str, Any]:
        with urlopen(f"{self._address}/control/{what}", timeout=30) as answer:  # noqa: S310 - always http
            told: dict[str, Any] = json.load(answer)
            return told


@contextmanager
def serve(objects: int) -> Iterator[Control]:
    """Run a server in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.server", str(objects)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Control(int(process.stdout.readline()))
        finally:
            process.stdin.close()


async def _run(objects: int) -> None:
    loop = asyncio.get_running_loop()
    service = Service(objects)
    server = await loop.create_server(lambda: _Connection(service), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
