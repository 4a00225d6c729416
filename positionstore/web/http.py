"""An HTTP server in its own thread, with a limit on everything a client can use.

It shares nothing with the event loop of the ingester, so slow or many clients do not affect it. A
connection serves one request and lives for some seconds; beyond a maximum number, further
connections are closed at once.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from positionstore.log import get_logger

_log = get_logger(__name__)

MOST_CONNECTIONS: Final = 32
"""How many connections may be open at once."""

LONGEST_CONNECTION: Final = 10.0
"""Seconds after which a connection is closed, whatever the client does."""

_TRY_AGAIN: Final = 30.0
"""Seconds between two attempts to listen on an address that is in use."""

_SWEEP_EVERY: Final = 1.0

# What a stranger sends to a port is nothing to log, and may be sent without end.
_SILENT: Final = logging.Logger("silent")  # noqa: LOG001 - of no parent, so that no handler gets it
_SILENT.disabled = True

_STREAMS: Final = web.AppKey("streams", set[object])

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def lives_on(request: web.Request) -> Iterator[None]:
    """Let the connection of a request live for as long as its answer is written."""
    streams = request.app[_STREAMS]
    streams.add(request.protocol)
    try:
        yield
    finally:
        streams.discard(request.protocol)


class HttpServer:
    """Serves from :meth:`start` to :meth:`stop`.

    If it cannot listen on the address, it logs that once and tries again from time to time; the
    process works without it.

    Args:
        host: a name or an address of this machine.
        port: 0 for any free port.
        routes: the handler of GET and HEAD for each path.
        try_again: seconds between two attempts to listen.
        longest: seconds after which a connection is closed.

    Attributes:
        addresses: the addresses it listens on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[str, Respond],
        *,
        try_again: float = _TRY_AGAIN,
        longest: float = LONGEST_CONNECTION,
    ) -> None:
        self.addresses: list[str] = []
        self._host = host
        self._port = port
        self._routes = dict(routes)
        self._try_again = try_again
        self._longest = longest
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        # A daemon: no client can hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self, within: float) -> None:
        """Stop, and close open connections.

        Args:
            within: the maximum number of seconds to wait.
        """
        if self._loop is None:
            self._stopped.set()
        else:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(within)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:  # noqa: BLE001 - the process works without it
            _log.exception("http_failed")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        application = web.Application(middlewares=[_guarded])
        application.on_response_prepare.append(_keep_nothing)
        streams = application[_STREAMS] = set()
        for path, respond in self._routes.items():
            application.router.add_get(path, respond)
        runner = web.AppRunner(
            application, access_log=None, logger=_SILENT, shutdown_timeout=0.5, lingering_time=1.0
        )
        await runner.setup()
        try:
            server = runner.server
            if server is None:
                raise RuntimeError("the runner was not set up")
            listener = await self._listen(server)
            if listener is None:
                return
            try:
                await self._sweep(server, streams)
            finally:
                listener.close()
        finally:
            await runner.cleanup()

    async def _listen(self, server: web.Server) -> asyncio.Server | None:
        """Listen; return None if it is stopped before it can."""
        loop = asyncio.get_running_loop()

        def connected() -> asyncio.BaseProtocol:
            return _Refused() if len(server.connections) >= MOST_CONNECTIONS else server()

        logged = False
        while not self._stopped.is_set():
            try:
                listener = await loop.create_server(
                    connected, self._host, self._port, reuse_address=True
                )
            except OSError as error:
                if not logged:
                    logged = True
                    _log.warning(
                        "not_listening",
                        address=_address(self._host, self._port),
                        error=error.strerror or str(error),
                        remedy="Set POSITIONSTORE_LISTEN to a free address, or to off.",
                    )
                await self._pause(self._try_again)
            else:
                self.addresses = [_address(*s.getsockname()[:2]) for s in listener.sockets]
                for address in self.addresses:
                    _log.info("listening", address=address)
                return listener
        return None

    async def _sweep(self, server: web.Server, streams: set[object]) -> None:
        """Close connections that have been open for too long, until it is stopped."""
        loop = asyncio.get_running_loop()
        since: dict[object, float] = {}
        while not self._stopped.is_set():
            now = loop.time()
            since = {each: since.get(each, now) for each in server.connections}
            for each in server.connections:
                if now - since[each] <= self._longest or each in streams:
                    continue
                if isinstance(each.transport, asyncio.Transport):
                    # Closing would wait for a client that does not read.
                    each.transport.abort()
            await self._pause(min(_SWEEP_EVERY, self._longest))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


class _Refused(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer without keeping the connection or caching the answer."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except web.HTTPException as error:
        # Of its headers, which of the methods are allowed is worth a word.
        allowed = {name: value for name, value in error.headers.items() if name == "Allow"}
        response = web.Response(status=error.status, text=f"{error.reason}\n", headers=allowed)
    except Exception:  # noqa: BLE001 - the next request may go well
        _log.exception("http_request_failed", path=request.path[:100])
        response = web.Response(status=500, text="Internal Server Error\n")
    response.force_close()
    return response


async def _keep_nothing(_: web.Request, response: web.StreamResponse) -> None:
    """Set what each answer says of itself, one that is written bit by bit too."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "positionstore"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
