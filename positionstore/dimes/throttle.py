"""Keeps requests few at a time, and apart."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Throttle:
    """Limits how many requests are under way at once, and how many begin in a second.

    Requests begin evenly spaced; there are no bursts.

    Args:
        concurrency: how many may be under way.
        per_second: how many may begin in a second.
        monotonic: tells seconds that only grow.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        per_second: float,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._interval = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it for as long as the request is under way."""
        async with self._slots:
            now = self._monotonic()
            begins = max(self._next, now)
            self._next = begins + self._interval
            if begins > now:
                await self._sleep(begins - now)
            yield

    def hold(self, seconds: float) -> None:
        """Let nobody begin for so many seconds: the server asked one of us to wait."""
        self._next = max(self._next, self._monotonic() + seconds)
