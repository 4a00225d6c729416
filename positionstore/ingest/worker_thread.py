"""A thread of its own for a piece of work."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class WorkerThread:
    """A piece of work in a thread of its own, and how it ended.

    Attributes:
        ended: set in the loop that it was begun in.
        error: what it raised.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._work = work
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - told to the caller that waits
            self.error = error
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.ended.set)
