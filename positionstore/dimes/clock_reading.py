"""The time of a REST answer, compared with our own clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from positionstore.model.timestamps import as_of

_CUT: Final = timedelta(seconds=1)  # what ``Date`` leaves out


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The server's clock and ours at one answer.

    Attributes:
        date: the answer's ``Date``, UTC; None if missing or invalid.
        sent_at: our clock before the request was sent, UTC.
        round_trip: seconds from then until the answer's headers arrived.
        age: seconds that the answer was in a cache, by its ``Age`` header.
    """

    date: datetime | None
    sent_at: datetime
    round_trip: float
    age: float = 0.0

    @property
    def as_of(self) -> datetime:
        """A moment at which the server had certainly not yet read the data.

        It is the earlier of both clocks, so it holds if either is right.
        """
        return as_of(self.date, round_trip=self.round_trip + self.age, sent_at=self.sent_at)

    @property
    def offset(self) -> timedelta | None:
        """How far the server's clock is ahead of ours, at least; None without a ``Date``."""
        if self.date is None:
            return None
        return self.date - self.sent_at - timedelta(seconds=max(self.round_trip, 0.0))

    def agrees(self, offset: timedelta, tolerance: timedelta) -> bool:
        """Whether the server's clock may be ahead of ours by this much."""
        least = self.offset
        if self.date is None or least is None:
            return True
        most = self.date + _CUT - self.sent_at if self.date.year < 9999 else least
        return least - tolerance <= offset <= most + tolerance


def age_of(text: str | None) -> float:
    """Return the seconds that an ``Age`` header names; 0 where it names none."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0.0
