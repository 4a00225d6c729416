"""What a run looks at: which positions, and of whom."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

MARGIN: Final = timedelta(minutes=10)
"""How much further back than needed ended positions are walked, for clocks that differ."""


class Trigger(StrEnum):
    """What started a run."""

    COMMAND = "command"
    CONNECTED = "connected"
    PERIODIC = "periodic"
    DAILY = "daily"
    NIGHTLY = "nightly"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which positions a run walks: always the active ones, and of the ended ones some or all.

    Attributes:
        name: ``recent``, ``full`` or ``window``.
        closed_since: ended positions are walked back to this moment (UTC); None for all.
        closed_until: ended positions are walked up to this moment (UTC); None for no bound.
    """

    name: str
    closed_since: datetime | None = None
    closed_until: datetime | None = None

    @classmethod
    def full(cls) -> "Scope":
        """All positions."""
        return cls("full")

    @classmethod
    def window(cls, since: datetime | None, until: datetime | None) -> "Scope":
        """The active positions, and those that ended within a window, with a margin around."""
        return cls(
            "window",
            None if since is None else _moved(since, -MARGIN),
            None if until is None else _moved(until, MARGIN),
        )

    @classmethod
    def recent(
        cls,
        *,
        now: datetime,
        last_complete_run: datetime | None,
        oldest_unrepaired_gap: datetime | None,
        coverage_begins: datetime | None,
    ) -> "Scope":
        """The active positions, and those that ended where the store may have missed it.

        That is since the last complete run began, and since the oldest gap that no run has
        repaired; before the first run, since the first stream session began.
        """
        # None of these lies ahead, unless the clock was set back since.
        since = min(last_complete_run or coverage_begins or now, now)
        if oldest_unrepaired_gap is not None:
            since = min(since, oldest_unrepaired_gap)
        return cls("recent", _moved(since, -MARGIN))


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Return a moment moved, or the end of the calendar where that lies in the way."""
    try:
        return moment + by
    except OverflowError:
        if by < timedelta():
            return datetime.min.replace(tzinfo=UTC)
        return datetime.max.replace(tzinfo=UTC)
