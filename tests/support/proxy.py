"""A way to the database that a test can stop, cut, stall, delay and half-close.

``proxy``
    a :class:`Proxy` in front of the embedded server; ``proxy.of(url)`` is the same database by
    that way.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest

from positionstore.embedded.server import EmbeddedServer
from positionstore.sandbox.serving import accept_no_more

T = TypeVar("T")

_PATIENCE = 60.0
_PIECE = 1 << 16


class _Link:
    """One connection through the proxy: two directions, each with a writer."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server

    def cut(self) -> None:
        """Let both sides see a reset, as when a machine goes down."""
        for writer in (self.client, self.server):
            held = writer.get_extra_info("socket")
            if held is not None:
                with contextlib.suppress(OSError):
                    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Passes bytes on between clients and one server, and does to them what it is told.

    It has a thread and a loop of its own, so that tests of any kind may use it; every method may
    be called in any thread, and has taken effect when it returns.

    Args:
        port: tells the server's, on 127.0.0.1, again for each connection.
        via: tells what to say of itself in the header ``Via`` of a connection's first request;
            an empty text for any protocol but HTTP.
    """

    def __init__(self, port: Callable[[], int], via: Callable[[], str] = str) -> None:
        self._server_port = port
        self._via = via
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay = 0.0
        self._left: int | None = None
        self.accepted = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.start()

    def of(self, url: str) -> str:
        """Return the URL of the same database by way of this proxy."""
        parts = urlsplit(url)
        access, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{access}@127.0.0.1:{self.port}"))

    def start(self) -> None:
        """Let clients in, at the port of the first time."""
        self._do(self._start())

    def stop(self) -> None:
        """Refuse every client, and cut those who are there: the server is down."""
        self._do(self._stop())

    def cut(self) -> None:
        """Reset every connection; new ones are let in."""
        self._do(self._cut())

    def cut_after(self, sent: int) -> None:
        """Cut everything, and refuse every client, when so many more bytes came from clients."""
        self._do(self._call(lambda: setattr(self, "_left", sent)))

    def stall(self) -> None:
        """Pass nothing on, and let no side know; new connections are accepted, and stall too."""
        self._do(self._call(self._flowing.clear))

    def resume(self) -> None:
        """Pass on what was held up, and all that follows."""
        self._do(self._call(self._flowing.set))

    def delay(self, seconds: float) -> None:
        """Hold each piece up for so long, in both directions; 0 for not at all."""
        self._do(self._call(lambda: setattr(self, "_delay", seconds)))

    def half_close(self) -> None:
        """Tell every server that its client says no more, and let its answers through."""
        self._do(self._half_close())

    @property
    def connections(self) -> int:
        """How many connections lead through it now."""
        return len(self._links)

    def close(self) -> None:
        """End everything."""
        self._flowing_for_ever()
        self.stop()
        self._do(self._drain_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def _flowing_for_ever(self) -> None:
        self.delay(0)
        self.resume()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    async def _call(self, function: Callable[[], object]) -> None:
        function()

    async def _start(self) -> None:
        if self._listening is None:
            self._left = None
            self._listening = await asyncio.start_server(self._let_in, "127.0.0.1", self.port)
            self.port = self._listening.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await accept_no_more([each.fileno() for each in listening.sockets])
            listening.close()
        await self._cut()

    async def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    async def _half_close(self) -> None:
        for link in self._links:
            if link.server.can_write_eof():
                link.server.write_eof()

    async def _drain_tasks(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(3):  # what is closed is so a turn or two later
            await asyncio.sleep(0)

    def _let_in(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        # Not the coroutine itself: one that is cancelled before it began closes nothing.
        serving = self._loop.create_task(self._serve(reader, client))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        serving.add_done_callback(lambda _: client.close())

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        listening = self._listening
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self._server_port())
        except OSError:
            client.transport.abort()
            return
        link = _Link(client, server)
        if listening is None or listening is not self._listening:  # stopped since it called
            link.cut()
            return
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pass_on(reader, server, counted=True),
                self._pass_on(from_server, client, counted=False),
            )
        except (OSError, RuntimeError):  # the latter where a half-closed one is written to
            link.cut()
        finally:
            self._links.discard(link)
            for writer in (client, server):
                writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        via = self._via() if counted else ""
        while piece := await reader.read(_PIECE):
            await self._flowing.wait()
            if via:
                line, separator, rest = piece.partition(b"\r\n")
                piece = b"%b\r\nVia: %b%b%b" % (line, via.encode(), separator, rest)
                via = ""
            if self._delay:
                await asyncio.sleep(self._delay)
            if counted and self._left is not None:
                piece, self._left = piece[: self._left], self._left - len(piece)
            writer.write(piece)
            await writer.drain()
            if counted and self._left is not None and self._left <= 0:
                await self._stop()
                return
        await self._flowing.wait()
        if writer.can_write_eof():
            writer.write_eof()


@contextlib.contextmanager
def proxy_to(port: Callable[[], int], via: Callable[[], str] = str) -> Iterator[Proxy]:
    """Stand in front of a server of this machine; the arguments are those of :class:`Proxy`."""
    found = Proxy(port, via)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def proxy(embedded_server: EmbeddedServer) -> Iterator[Proxy]:
    """Stand in front of the embedded server."""
    with proxy_to(lambda: embedded_server.port) as found:
        yield found
