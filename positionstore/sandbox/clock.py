"""The server's clock: it follows real time or stands still, and can be advanced."""

import time
from collections.abc import Callable


class Clock:
    """The server's time in microseconds since 1970.

    Args:
        start: the first moment.
        running: whether it runs with real time; otherwise only :meth:`advance` moves it.
        monotonic: the source of real time, in seconds.
    """

    def __init__(
        self,
        start: int,
        *,
        running: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = start
        self._monotonic = monotonic if running else None
        self._began = monotonic()

    def now(self) -> int:
        """The server's time."""
        if self._monotonic is None:
            return self._base
        return self._base + round((self._monotonic() - self._began) * 1_000_000)

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self._base += round(seconds * 1_000_000)

    def reach(self, moment: int) -> None:
        """Advance the clock to a time; a time in the past does nothing."""
        self._base += max(0, moment - self.now())
