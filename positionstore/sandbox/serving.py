"""The HTTP server under the sandbox: it accepts clients, and leaves none behind when it closes."""

import asyncio
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

_GOODBYE = 0.5
_POLL = 0.005


async def accept_no_more(listeners: Iterable[int]) -> None:
    """Stop accepting connections on these listening sockets, so that they may be closed.

    A connection that is being accepted when asyncio closes its server stays half open: nothing
    closes its transport.

    Args:
        listeners: their file descriptors; the running loop's.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener)
    for _ in range(3):  # turns from being accepted to being connected
        await asyncio.sleep(0)


class Serving:
    """Serves an application on one socket, and ends every connection it accepted.

    On shutdown an aiohttp server closes a connection only when everything is sent, which never
    happens if the client has stopped reading. It also ends no task that outlives its connection.
    """

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._listener: socket.socket | None = None
        self._requests: set[asyncio.Task[object]] = set()
        self._asked_through: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    @web.middleware
    async def watch(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Record which requests are being answered; the outermost middleware."""
        if task := asyncio.current_task():  # of this request alone
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
        if request.transport is not None:
            self._asked_through.add(request.transport)
        return await handler(request)

    async def start(self, app: web.Application, listener: socket.socket) -> None:
        """Serve an application on a bound socket."""
        self._runner = web.AppRunner(app, access_log=None)
        self._listener = listener
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop_listening(self) -> None:
        """Stop accepting connections; existing ones stay."""
        if self._runner is not None and self._listener is not None:
            listener, self._listener = self._listener, None
            await accept_no_more([listener.fileno()])
            for site in self._runner.sites:
                await site.stop()

    async def close(self) -> None:
        """Wait half a second for current requests, then end them and every connection."""
        await self.stop_listening()
        if self._requests:
            await asyncio.wait(self._requests, timeout=_GOODBYE)
        if self._runner is not None and self._runner.server is not None:
            while connections := self._runner.server.connections:
                # One that is being closed, its last words unread, is named by its requests alone.
                callers = {connection.transport for connection in connections}
                for transport in callers.union(self._asked_through):
                    if transport is not None:
                        transport.abort()
                for request in self._requests:
                    if not request.cancelling():
                        request.cancel()
                await asyncio.sleep(_POLL)
            await self._runner.cleanup()
