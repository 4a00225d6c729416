"""Lets whoever reads a gateway go on when what it has read is on the disk."""

import asyncio


class Landing:
    """Counts what was read and what is on the disk; to be made in the loop that reads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._read = 0
        self._landed = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def read(self) -> None:
        """One more was read."""
        self._read += 1

    async def wait(self) -> None:
        """Wait until all that was read is on the disk."""
        if self._landed < self._read:
            landed = self._loop.create_future()
            self._waiting.append((self._read, landed))
            await landed

    def landed(self, count: int) -> None:
        """So many, from the first on, are on the disk; to be told in any thread."""
        try:
            self._loop.call_soon_threadsafe(self._note, count)
        except RuntimeError:  # nobody waits any more
            return

    def _note(self, count: int) -> None:
        self._landed = max(self._landed, count)
        for number, future in self._waiting:
            if number <= self._landed and not future.done():
                future.set_result(None)
        self._waiting = [(n, future) for n, future in self._waiting if not future.done()]
