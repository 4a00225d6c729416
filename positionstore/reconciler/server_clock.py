"""What our clock says of the server's: neither is trusted to be right."""

from collections.abc import Callable
from datetime import datetime, timedelta


class ServerClock:
    """Tells the server's time from the as-of of its answers and from what has passed since.

    Args:
        clock: tells our time, UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._latest: tuple[datetime, datetime] | None = None

    def note(self, as_of: datetime) -> None:
        """Take note of the as-of of an answer that has just come."""
        if self._latest is None or as_of > self._latest[0]:
            self._latest = as_of, self._clock()

    def now(self) -> datetime:
        """Return a moment by the server's clock that has certainly passed."""
        now = self._clock()
        if self._latest is None:
            return now
        as_of, noted_at = self._latest
        return as_of + max(now - noted_at, timedelta())

    @property
    def behind(self) -> timedelta:
        """How far the server's clock is behind ours, if it is; rather too much than too little."""
        if self._latest is None:
            return timedelta()
        as_of, noted_at = self._latest
        return max(noted_at - as_of, timedelta())
