"""Which of the server's answers about the time are believed.

The server's clock and ours may differ, and either may be wrong. Where they agree, they are
believed; else where they differ as they did in earlier runs. A server that is further ahead than
that, or whose time goes back, is doubtful. One that is behind does no harm, as snapshots are then
dated too early; it is believed where several answers say so.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from positionstore.dimes.clock_reading import ClockReading

TOLERANCE: Final = timedelta(seconds=10)
"""How far an answer may depart from the known difference of the two clocks."""

_BORNE_OUT: Final = 3  # answers in a row: one, and two that were asked for again


class ServerClock:
    """Judges the clock readings of a run, and tells the server's time from those it believes.

    Args:
        clock: tells our time, UTC.
        known: how far the server's clock was ahead of ours in earlier runs, the newest first;
            empty where no run has found out yet.

    Attributes:
        doubtful: how many answers were not believed.
    """

    def __init__(self, clock: Callable[[], datetime], known: Sequence[timedelta] = ()) -> None:
        self.doubtful = 0
        self._clock = clock
        self._known = tuple(known)
        self._latest: tuple[datetime, datetime] | None = None
        self._settled: timedelta | None = None
        self._first: timedelta | None = None
        self._agree = True
        self._last_date: datetime | None = None
        self._last_behind: timedelta | None = None
        self._behind = 0
        self._doubt: tuple[ClockReading, timedelta] | None = None

    # --- what an answer is as of -----------------------------------------------------------

    def as_of(self, reading: ClockReading) -> datetime | None:
        """Return the as-of of an answer; None where its clock is doubtful.

        No as-of is later than our own clock was when the request was sent. Without a ``Date`` it
        is that moment, or as much earlier as the server's clock is known to be behind ours.
        """
        if reading.age > TOLERANCE.total_seconds():
            self._note_doubt(reading, timedelta())
            return None
        date, offset = reading.date, reading.offset
        if date is None or offset is None:
            behind = self._offset or timedelta()
            return reading.sent_at + behind if behind < -TOLERANCE else reading.sent_at
        self._first = offset if self._first is None else self._first
        self._agree = self._agree and reading.agrees(self._first, TOLERANCE)
        if not self._is_plausible(reading, date, offset):
            self._note_doubt(reading, offset)
            return None
        self._settled = offset
        self._last_date = date if self._last_date is None else max(date, self._last_date)
        return reading.as_of

    def _is_plausible(self, reading: ClockReading, date: datetime, offset: timedelta) -> bool:
        if self._last_date is not None and date < self._last_date - TOLERANCE:
            return False  # it goes back
        # Two clocks that agree are right, whatever one of them said in earlier runs.
        expected = [timedelta(), *self._known]
        if self._settled is not None:
            if reading.agrees(self._settled, TOLERANCE):
                return True
            expected.append(self._settled)
        if any(reading.agrees(each, TOLERANCE) for each in expected):
            self._note_recovery(reading, offset)
            return True
        if offset > max(expected):
            return False
        # A clock that is behind, or stands still, dates snapshots too early: no harm. But an
        # answer may come from a cache; then one that is asked for again does not bear it out.
        self._behind = self._behind + 1 if self._bears_out(reading) else 1
        self._last_behind = offset
        return not self._known or self._settled is not None or self._behind >= _BORNE_OUT

    def _bears_out(self, reading: ClockReading) -> bool:
        return self._last_behind is not None and reading.agrees(self._last_behind, TOLERANCE)

    def _note_recovery(self, reading: ClockReading, offset: timedelta) -> None:
        """What was believed of a clock that was behind is doubtful once another answer is right."""
        self._behind = 0
        if self._settled is not None and offset > self._settled:
            self.doubtful += 1
            self._note_doubt(
                ClockReading(self._last_date, reading.sent_at, reading.round_trip), self._settled
            )

    def _note_doubt(self, reading: ClockReading, offset: timedelta) -> None:
        if self._doubt is None or abs(offset) > abs(self._doubt[1]):
            self._doubt = reading, offset

    @property
    def _offset(self) -> timedelta | None:
        if self._settled is not None:
            return self._settled
        return self._known[0] if self._known else None

    @property
    def learnt(self) -> timedelta | None:
        """How far the server's clock is ahead of ours, for later runs; None where that is unclear.

        Where no answer was believed but all of them agree with each other, one of the two clocks
        was set since the last run: the next run has to know.
        """
        if self._settled is not None:
            return self._settled
        return self._first if self._agree else None

    @property
    def complaint(self) -> str | None:
        """One line that names both clocks, where answers were not believed."""
        if not self.doubtful or self._doubt is None:
            return None
        reading, offset = self._doubt
        count = f"{self.doubtful:,} answers" if self.doubtful > 1 else "An answer"
        ours = f"{reading.sent_at:%F %T} UTC"
        if reading.age > TOLERANCE.total_seconds():
            return (
                f"{count} of the API came from a cache, {reading.age:,.0f} seconds old "
                f"(at {ours} by our clock); nothing was appended on that. "
                "Look for a proxy that caches GET /positions."
            )
        theirs = f"{reading.date:%F %T} UTC" if reading.date else "nothing"
        expected = _apart(self._offset or timedelta())
        return (
            f"{count} of the API had a doubtful Date: its clock said {theirs} when ours said "
            f"{ours}, {_apart(offset)}, where {expected} was expected; nothing was appended on "
            "that. Check this machine's clock; if it is right, the API's is wrong."
        )

    @property
    def ahead(self) -> timedelta:
        """How far the server's clock, as it is believed, is ahead of ours, if it is."""
        return max(self._settled or timedelta(), timedelta())

    # --- the server's time -----------------------------------------------------------------

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


def _apart(offset: timedelta) -> str:
    if abs(offset) <= TOLERANCE:
        return "level with ours"
    seconds = abs(offset.total_seconds())
    where = "ahead" if offset > timedelta() else "behind"
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit} {where}"
    return f"{seconds:,.0f} seconds {where}"
