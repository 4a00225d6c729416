"""A server of a test's own, of whose connections nothing is left when it ends."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def serving(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve on 127.0.0.1, and yield the port.

    Afterwards each handler is cancelled, and each connection cut: what nobody reads any more would
    keep one open that was only closed.
    """
    open_: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def look_after(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_[task] = writer
        await handle(reader, writer)

    try:
        async with await asyncio.start_server(look_after, "127.0.0.1", 0, ssl=tls) as server:
            yield server.sockets[0].getsockname()[1]
    finally:
        for task in open_:
            task.cancel()
        await asyncio.gather(*open_, return_exceptions=True)
        for writer in open_.values():
            # Python 3.11.2 raises where the TLS connection is closed already.
            with suppress(AttributeError):
                writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
