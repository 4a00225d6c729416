"""WebSocket pings: they keep a quiet connection open, and show when it is dead.

aiohttp has a heartbeat too, but counts time in which we do not read as silence: with a slow disk it
closes a healthy connection, and what had arrived is lost. Here only the time in which a reader
waits for a frame counts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

DEAD_AFTER: Final = 2.5
"""After how many times the interval a silent link is dead: at least two pings had no answer."""


class Pinger:
    """Pings one WebSocket while it is silent; a context in which a reader waits for a frame.

    Args:
        every: seconds of silence before the first ping, and between further ones.
        on_silence: called once if nothing came for :data:`DEAD_AFTER` times as long.
        monotonic: a clock, seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        every: float,
        *,
        on_silence: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._every = every
        self._on_silence = on_silence
        self._monotonic = monotonic
        self._sleep = sleep
        self._waits_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    # Not a generator: this happens for every frame.
    def __enter__(self) -> None:
        """A reader waits for the next frame."""
        self._waits_since = self._monotonic()

    def __exit__(self, *_: object) -> None:
        """It waits no longer."""
        self._waits_since = None

    def start(self, ping: Callable[[], Awaitable[None]]) -> None:
        """Start, in a separate task.

        Args:
            ping: sends a ping.
        """
        self._task = asyncio.ensure_future(self._run(ping))

    async def stop(self) -> None:
        """Stop pinging."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self, ping: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._sleep(self._every / 2)
            since = self._waits_since
            silence = 0.0 if since is None else self._monotonic() - since
            if silence >= DEAD_AFTER * self._every:
                self._on_silence()
                return
            if silence >= self._every:
                # If it cannot be sent, the reader notices, or the silence does.
                with suppress(ConnectionError, RuntimeError):
                    await ping()
