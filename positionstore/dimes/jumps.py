"""A wall clock that is set while it is being read."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(seconds=2)
"""How much of a difference is no jump: one that is kept right drifts far less in a minute."""


class Jumps:
    """Tells a jump of the wall clock from time that has passed, by a clock that nobody sets.

    A machine that was asleep looks the same: it was not there, whatever the clocks say.

    Args:
        monotonic: a clock that nobody sets, seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: tuple[datetime, float] | None = None

    def between(self, at: datetime) -> bool:
        """Whether the wall clock has jumped between the last moment that was told here and ``at``.

        Args:
            at: what it says now.
        """
        now = self._monotonic()
        before, self._seen = self._seen, (at, now)
        if before is None:
            return False
        return abs((at - before[0]) - timedelta(seconds=now - before[1])) > TOLERANCE
