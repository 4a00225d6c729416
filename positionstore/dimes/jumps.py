"""Detects that the wall clock was set."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

TOLERANCE: Final = 2.0
"""Seconds that are no jump: a clock that is kept right drifts far less in a minute."""


class ClockJumpDetector:
    """Tells a jump of the wall clock from elapsed time, by a monotonic clock.

    A machine that was asleep looks the same.

    Args:
        clock: the wall clock, UTC.
        monotonic: a monotonic clock, seconds.
    """

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._last: tuple[float, datetime, float] | None = None

    def look(self) -> tuple[datetime, bool]:
        """Return the time, and whether the clock was set since the last call."""
        # Before and after: a process may stand still in between, for as long as it likes.
        before, at, after = self._monotonic(), self._clock(), self._monotonic()
        last, self._last = self._last, (before, at, after)
        if last is None:
            return at, False
        # In seconds, which is exact enough here and quick: this happens for every frame.
        passed = (at - last[1]).total_seconds()
        return at, not before - last[2] - TOLERANCE <= passed <= after - last[0] + TOLERANCE
