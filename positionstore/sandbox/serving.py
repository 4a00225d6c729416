"""The HTTP server under the sandbox: it lets clients in, and leaves none behind when it closes."""

import asyncio
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

_GOODBYE = 0.5
_POLL = 0.005


async def accept_no_more(listeners: Iterable[int]) -> None:
    """Let nobody in any more who calls at these listening sockets, so that they may be closed.

    Whoever is on the way in when asyncio closes its server is forgotten half open: a transport
    that nothing closes.

    Args:
        listeners: their file descriptors; the running loop's.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener)
    for _ in range(3):  # turns from being accepted to being connected
        await asyncio.sleep(0)


class Serving:
    """Serves an application on one socket, and ends every connection it let in.

    An aiohttp server that shuts down closes a connection once what is left to send has been sent:
    never, where the client reads no more. And it ends no task that outlives its connection.
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
        """Note which requests are being answered; the outermost middleware of the application."""
        if task := asyncio.current_task():  # of this request alone
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
        if request.transport is not None:
            self._asked_through.add(request.transport)
        return await handler(request)

    async def start(self, app: web.Application, listener: socket.socket) -> None:
        """Serve an application to those who call at a bound socket."""
        self._runner = web.AppRunner(app, access_log=None)
        self._listener = listener
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop_listening(self) -> None:
        """Let nobody in any more; those who are in stay."""
        if self._runner is not None and self._listener is not None:
            listener, self._listener = self._listener, None
            await accept_no_more([listener.fileno()])
            for site in self._runner.sites:
                await site.stop()

    async def close(self) -> None:
        """Give what is being answered half a second to end, then end it and every connection."""
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
