"""The emulator itself: the lists over HTTP, from a thread of this process."""

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from email.utils import format_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from toloka_source.emulator.account import Account
from toloka_source.emulator.api import PREFIX, Api, error
from toloka_source.emulator.faults import Exchange, Fault, FaultPlan
from toloka_source.emulator.fields import endpoint_of, resource_at
from toloka_source.emulator.rate_limit import RETRY_AFTER, RateLimit

START_SECONDS = 10
STOP_SECONDS = 5
_QUIET_TURNS = 5


@dataclass
class RecordedRequest:
    """A request that reached the emulator."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    """By their names in lower case."""
    resource: str | None
    """The list that was asked for, such as "user_skills"; None on any other path."""
    status: int | None = None
    """The status of the answer, None as long as there is none (and for good after a reset)."""


class Emulator:
    """A Toloka API on this machine: `with Emulator(account) as api: ... api.base_url`."""

    def __init__(
        self,
        account: Account | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Collection[str] | None = None,
        forbidden_tokens: Collection[str] = (),
        latency: float = 0.0,
        compress: bool = False,
        allow_remote: bool = False,
        rate_limit: int | None = None,
        keep_requests: int = 10_000,
    ) -> None:
        """Set up an emulator; `start` or `with` makes it listen.

        Args:
            account: What it serves: an empty account on the system's clock unless given.
            host: The address to listen on, a loopback one.
            port: The port to listen on, any free one unless given.
            tokens: The only tokens that get an answer; any token does unless given.
            forbidden_tokens: Tokens that are known and may not see the lists (403).
            latency: Seconds to wait before each answer.
            compress: Whether to answer in gzip where the client takes it.
            allow_remote: Allows a host that other machines can reach, by whatever name they have for it.
            rate_limit: How many requests of one token are granted in any second; others are answered with 429. The
                API's own limit is 300; there is none unless given.
            keep_requests: How many requests `requests` holds, the last ones.
        """
        if not (allow_remote or _is_loopback(host)):
            raise ValueError(f"{host} is not a loopback address: other machines could reach it (see allow_remote)")
        self.account = account or Account()
        self.latency = latency
        self.before_request: Callable[[int, str], None] | None = None
        """Called with each list request's number and resource, before the request is looked at.

        The server waits for it: it may change the account, but not send requests.
        """
        self._address = (host, port)
        self._api = Api(self.account, tokens, forbidden_tokens)
        self._limit = RateLimit(rate_limit) if rate_limit is not None else None
        self._compress = compress
        self._lock = threading.Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=keep_requests)
        self._allow_remote = allow_remote
        self._faults = FaultPlan()
        self._served = 0
        self._base_url: str | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def base_url(self) -> str:
        """Where the API is, without a slash at the end."""
        if self._base_url is None:
            raise RuntimeError("the emulator has not been started")
        return self._base_url

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, in the order they came; of very many the last ones."""
        with self._lock:
            return list(self._requests)

    def clear_requests(self) -> None:
        """Forget the requests so far; their numbers go on."""
        with self._lock:
            self._requests.clear()

    def fail(self, fault: Fault, on: str | None = None, at: int = 1, times: int | None = 1) -> None:
        """Plan a fault.

        Args:
            fault: What goes wrong.
            on: Only for requests of this list, such as "projects"; ValueError if there is no such list.
            at: Which of those requests fails first, counted from now on: 1 is the next one.
            times: How many of them fail in a row; None for all from there on.
        """
        if on is not None:
            endpoint_of(on)
        self._faults.add(fault, on, at, times)

    def clear_faults(self) -> None:
        """Call off all faults that have not happened yet."""
        self._faults.clear()

    def start(self) -> Self:
        """Listen, in a thread of its own; OSError if the port is taken."""
        if self._thread is not None:
            raise RuntimeError("the emulator is running already")
        host = self._address[0]
        # Bound here and handed on, so that nobody else can get the port in between.
        listener = socket.create_server(self._address, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        name = f"[{host}]" if ":" in host else host
        self._base_url = f"http://{name}:{listener.getsockname()[1]}{PREFIX}"
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name="toloka-emulator", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_SECONDS):
            raise RuntimeError("the emulator did not start")
        return self

    def stop(self) -> None:
        """Hang up on everybody and free the port. Does nothing if it isn't running."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)
        self._thread = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        # uvicorn's own server takes 0.2 s to stop and waits for slow requests: its protocol is enough here.
        config = uvicorn.Config(
            self._app, interface="asgi3", http=_Protocol, ws="none", proxy_headers=False, log_config=None
        )
        config.load()
        state = ServerState()
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(lambda: _Protocol(config, state, {}), sock=listener)
        ready.set()
        await self._stopping.wait()
        self._loop.remove_reader(listener)  # a closed server forgets the connections that it was about to take
        # what was just accepted is a connection some turns of the loop later, and what is hung up on is gone some later
        end, quiet = self._loop.time() + STOP_SECONDS, 0
        while quiet < _QUIET_TURNS and self._loop.time() < end:
            for connection in list(state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
            is_busy = state.connections or asyncio.all_tasks() - {asyncio.current_task()}
            quiet = 0 if is_busy else quiet + 1
        server.close()
        await server.wait_closed()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if not self._is_meant(request.headers.get("host", "")):
            said = "This host isn't served here; a web page of somebody else's may have asked"
            await error(HTTPStatus.BAD_REQUEST, message=said)(scope, receive, send)
            return
        record = self._record(request)
        await self._pause(self.latency)
        response: Response | None
        if record.resource is None:
            response = error(HTTPStatus.NOT_FOUND, message="There is no such path in this API")
        elif request.method != "GET":
            response = error(HTTPStatus.METHOD_NOT_ALLOWED)
            response.headers["allow"] = "GET"
        else:
            response = await self._list(request, record, record.resource)
        if response is None:
            # A fault wrote to the connection itself: it is lost for HTTP, so wait until it is gone.
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        response.headers["date"] = self._date()
        record.status = response.status_code
        await response(scope, receive, send)

    def _is_meant(self, host: str) -> bool:
        """Tell whether a request names this machine: a web page can have a name of its own lead here."""
        with contextlib.suppress(ValueError):
            name = urlsplit(f"//{host}").hostname
            return self._allow_remote or name is None or _is_loopback(name)
        return False

    async def _list(self, request: Request, record: RecordedRequest, resource: str) -> Response | None:
        token = request.headers.get("authorization", "")
        if self._limit and not self._limit.grants(token):
            refusal = error(HTTPStatus.TOO_MANY_REQUESTS)
            refusal.headers["retry-after"] = str(RETRY_AFTER)
            return refusal
        self._served += 1
        if self.before_request is not None:
            self.before_request(self._served, resource)

        def answer() -> Response:
            return self._api.answer(resource, token, request.query_params.multi_items())

        fault = self._faults.next(resource)
        if fault is None:
            zipped = self._compress and "gzip" in request.headers.get("accept-encoding", "")
            return _zip(answer()) if zipped else answer()

        transport: asyncio.Transport = request.state.transport

        def begin(status: int, headers: dict[str, str]) -> None:
            record.status = status
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
            lines += [f"{name}: {value}" for name, value in (headers | {"date": self._date()}).items()]
            transport.write("\r\n".join([*lines, "", ""]).encode())

        return await fault.act(Exchange(transport, answer, self._pause, begin))

    def _record(self, request: Request) -> RecordedRequest:
        path = request.scope["path"]
        resource = resource_at(path.removeprefix(f"{PREFIX}/")) if path.startswith(f"{PREFIX}/") else None
        record = RecordedRequest(path, dict(request.query_params), dict(request.headers), resource)
        with self._lock:
            self._requests.append(record)
        return record

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(0)  # a loop of pauses must let others run, even while stopping
        if seconds > 0 and self._stopping is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    def _date(self) -> str:
        return format_datetime(self.account.clock.now(), usegmt=True)


class _Protocol(H11Protocol):
    """Hands the connection to the faults, in the request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        # asyncio does this itself only for sockets that name their protocol, which create_server's don't.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


def _zip(response: Response) -> Response:
    headers = {"content-encoding": "gzip", "content-type": response.headers["content-type"]}
    return Response(gzip.compress(bytes(response.body), 1), response.status_code, headers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
