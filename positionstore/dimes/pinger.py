"""WebSocket pings of our own: they keep a quiet link open, and show when it is dead.

aiohttp has a heartbeat, too, but counts it as the other side's silence when nobody reads: where our
disk is slow, it closes a healthy link, and what had arrived is lost. Here only the time in which
somebody waits for a frame counts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

DEAD_AFTER: Final = 2.5
"""After how many times the interval a silent link is dead: at least two pings had no answer."""


class Pinger:
    """Pings one WebSocket while it is silent.

    Args:
        every: after how many seconds of silence the first ping is sent, and how often after that.
        on_silence: called once, where nothing came for :data:`DEAD_AFTER` times as long.
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

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Somebody waits for the next frame, whatever it is."""
        self._waits_since = self._monotonic()
        try:
            yield
        finally:
            self._waits_since = None

    def start(self, ping: Callable[[], Awaitable[None]]) -> None:
        """Begin, in a task of its own.

        Args:
            ping: sends a ping.
        """
        self._task = asyncio.ensure_future(self._run(ping))

    async def stop(self) -> None:
        """Leave the WebSocket alone."""
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
                # One that cannot be sent is noticed by whoever reads, or by the silence.
                with suppress(ConnectionError, RuntimeError):
                    await ping()
