"""What can go wrong between a client and the API, made to happen on demand."""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import msgspec
from starlette.responses import Response

from toloka_source.emulator.api import JSON_TYPE, error, phrase

_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>\n"


@dataclass(frozen=True)
class Exchange:
    """One request under way, as a fault sees it."""

    transport: asyncio.Transport
    answer: Callable[[], Response]
    """What the API would say now."""
    pause: Callable[[float], Awaitable[None]]
    """Waits so many seconds, or until the emulator stops."""
    begin: Callable[[int, dict[str, str]], None]
    """Writes a status line and headers past the HTTP library, to break the protocol after them."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; made by the class methods, given to `Emulator.fail`."""

    name: str
    act: Callable[[Exchange], Awaitable[Response | None]]
    """Returns the answer to send, or None when it has dealt with the connection itself."""

    @classmethod
    def status(
        cls,
        code: int,
        payload: dict[str, Any] | None = None,
        *,
        retry_after: str | int | None = None,
        html: bool = False,
        code_name: str | None = None,
        message: str | None = None,
    ) -> Self:
        """Answer with an error: as the API words it, or in HTML like a proxy on the way."""

        def make() -> Response:
            fitting = error(code, code_name=code_name, message=message, payload=payload)
            response = _html(code) if html else fitting
            if retry_after is not None:
                response.headers["retry-after"] = str(retry_after)
            return response

        return cls._answering(f"status {code}", make)

    @classmethod
    def html_200(cls) -> Self:
        """Answer with a web page that calls itself a success."""
        return cls._answering("html 200", lambda: _html(200))

    @classmethod
    def body(cls, content: bytes, content_type: str = JSON_TYPE, status: int = 200) -> Self:
        """Answer with these very bytes."""
        return cls._answering("body", lambda: Response(content, status, media_type=content_type))

    @classmethod
    def bad_gzip(cls) -> Self:
        """Call the body gzip that is not."""
        return cls._answering(
            "bad gzip",
            lambda: Response(b"\x1f\x8b this is no gzip", headers={"content-encoding": "gzip"}, media_type=JSON_TYPE),
        )

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Self:
        """Send the client elsewhere."""
        return cls._answering("redirect", lambda: Response(status_code=status, headers={"location": location}))

    @classmethod
    def broken_json(cls) -> Self:
        """Answer with the first half of the page, and a Content-Length that fits."""

        async def act(exchange: Exchange) -> Response:
            body = bytes(exchange.answer().body)
            return Response(body[: len(body) // 2], media_type=JSON_TYPE)

        return cls("broken JSON", act)

    @classmethod
    def replace_page(cls, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Self:
        """Answer with what the function makes of the page: a way to break the API's promises."""

        async def act(exchange: Exchange) -> Response:
            answer = exchange.answer()
            if answer.status_code != HTTPStatus.OK:
                return answer
            page = msgspec.json.decode(bytes(answer.body), type=dict[str, Any])
            return Response(msgspec.json.encode(change(page)), media_type=JSON_TYPE)

        return cls("replaced page", act)

    @classmethod
    def hang(cls, seconds: float) -> Self:
        """Stay silent for so long, then answer as if nothing had been."""

        async def act(exchange: Exchange) -> Response:
            await exchange.pause(seconds)
            return exchange.answer()

        return cls("hang", act)

    @classmethod
    def drip(cls, seconds_per_chunk: float = 0.1, bytes_per_chunk: int = 1) -> Self:
        """Send a body of spaces that never ends, so many bytes at a time."""

        async def act(exchange: Exchange) -> None:
            exchange.begin(200, {"content-type": JSON_TYPE, "transfer-encoding": "chunked"})
            while not exchange.transport.is_closing():
                exchange.transport.write(_chunk(b" " * bytes_per_chunk))
                await exchange.pause(seconds_per_chunk)

        return cls("drip", act)

    @classmethod
    def cut_body(cls, keep: float = 0.5) -> Self:
        """Promise the page's length, send this part of it and hang up."""

        async def act(exchange: Exchange) -> None:
            body = bytes(exchange.answer().body)
            exchange.begin(200, {"content-type": JSON_TYPE, "content-length": str(len(body))})
            exchange.transport.write(body[: int(len(body) * keep)])
            exchange.transport.close()

        return cls("cut body", act)

    @classmethod
    def cut_chunked(cls, keep: float = 0.5) -> Self:
        """Send this part of the page in chunks and hang up before the last, empty chunk."""

        async def act(exchange: Exchange) -> None:
            body = bytes(exchange.answer().body)
            exchange.begin(200, {"content-type": JSON_TYPE, "transfer-encoding": "chunked"})
            exchange.transport.write(_chunk(body[: int(len(body) * keep)]))
            exchange.transport.close()

        return cls("cut chunked body", act)

    @classmethod
    def reset(cls, *, after_headers: bool = False) -> Self:
        """Reset the connection before any answer, or in the middle of one."""

        async def act(exchange: Exchange) -> None:
            if after_headers:
                exchange.begin(200, {"content-type": JSON_TYPE, "content-length": "1000"})
                await exchange.pause(0.05)  # else the client may see the reset before the headers
            # Closing without lingering is what makes the kernel send RST, not FIN.
            linger = struct.pack("ii", 1, 0)
            exchange.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            exchange.transport.abort()

        return cls("reset", act)

    @classmethod
    def _answering(cls, name: str, make: Callable[[], Response]) -> Self:
        async def act(_: Exchange) -> Response:
            return make()

        return cls(name, act)


@dataclass
class _Planned:
    fault: Fault
    on: str | None
    skip: int
    left: int | None


class FaultPlan:
    """The faults still to come. Any thread may add some."""

    def __init__(self) -> None:
        """Plan nothing."""
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault, on: str | None, at: int, times: int | None) -> None:
        """Plan a fault, as `Emulator.fail` says."""
        with self._lock:
            self._planned.append(_Planned(fault, on, at - 1, times))

    def clear(self) -> None:
        """Plan nothing any more."""
        with self._lock:
            self._planned.clear()

    def next(self, resource: str) -> Fault | None:
        """Count a request; return the fault that it meets, the first one planned if there are several."""
        due = None
        with self._lock:
            for planned in self._planned:
                if planned.on not in {None, resource}:
                    continue
                if planned.skip > 0:
                    planned.skip -= 1
                elif due is None:
                    due = planned
            if due is None:
                return None
            if due.left is not None:
                due.left -= 1
                if due.left == 0:
                    self._planned.remove(due)
            return due.fault


def _html(status: int) -> Response:
    title = _HTML.format(f"{status} {phrase(status)}")
    return Response(title, status, media_type="text/html")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
