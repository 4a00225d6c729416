"""How far reading a gateway may run ahead of the disk, where every event has to be on it."""

import asyncio
from typing import Final

PING_WAIT: Final = 5.0
"""Seconds for which the answer to a ping waits for the disk. Node's servers wait 20 s for it."""


class DurabilityBarrier:
    """Compares what was read with what is safe: on the disk, or in the database.

    One sync covers everything that has arrived by then, so reading goes on while the disk is at
    work. It waits in two places only: where ``at_most`` inputs are not safe yet, and before a ping
    is answered. An answered ping therefore still says that everything before it is safe. A disk
    that stands still for longer than that does not cost the connection, which would lose more.

    Args:
        at_most: how many inputs may have been read without being safe.
        ping_wait: how long the answer to a ping waits for the disk, seconds.
    """

    def __init__(self, at_most: int, *, ping_wait: float = PING_WAIT) -> None:
        self._at_most = at_most
        self._ping_wait = ping_wait
        self._read = 0
        self._safe = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def read(self) -> None:
        """One more input was read."""
        self._read += 1

    async def room(self) -> None:
        """Wait until fewer than ``at_most`` of the inputs read are not safe."""
        await self._until(self._read - self._at_most + 1)

    async def before_ping(self) -> None:
        """Wait until all inputs read so far are safe, but no longer than ``ping_wait``."""
        if self._safe >= self._read:
            return
        try:
            async with asyncio.timeout(self._ping_wait):
                await self._until(self._read)
        except TimeoutError:
            return

    def safe(self, count: int) -> None:
        """Note that so many inputs, from the first on, are safe."""
        self._safe = max(self._safe, count)
        for number, reached in self._waiting:
            if number <= self._safe and not reached.done():
                reached.set_result(None)
        self._waiting = [(n, reached) for n, reached in self._waiting if not reached.done()]

    async def _until(self, count: int) -> None:
        if self._safe >= count:
            return
        reached = asyncio.get_running_loop().create_future()
        self._waiting.append((count, reached))
        await reached
