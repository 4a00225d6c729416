"""When to reconcile: pure, with clocks from outside."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

from positionstore.reconcile.scope import Trigger

_DAY: Final = timedelta(days=1)
_JITTER: Final = 0.1
_URGENT: Final = (Trigger.DAILY, Trigger.CONNECTED, Trigger.PERIODIC)
"""What is due first: the full pass, which does what the others would."""


class Schedule:
    """Which run is due: after each connection, every few minutes, and a full one once a day.

    However many connections begin during a run, one run follows it. A failed run is repeated at the
    next periodic turn with the same trigger. A partial full pass is repeated after one turn, then
    two, then four, so that a lasting fault does not walk all of history every few minutes.

    Args:
        every: seconds from the end of a run to the next periodic one, give or take a tenth, so
            that many services do not start at once.
        full_pass_at: the time of day of the full pass, UTC.
        random: returns a number from 0 to 1.
        monotonic: a clock, seconds.
        clock: the time of day, UTC.
    """

    def __init__(
        self,
        *,
        every: float,
        full_pass_at: time,
        random: Callable[[], float],
        monotonic: Callable[[], float],
        clock: Callable[[], datetime],
    ) -> None:
        self._every = every
        self._full_pass_at = full_pass_at
        self._random = random
        self._monotonic = monotonic
        self._clock = clock
        self._wanted: set[Trigger] = set()
        self._postponed: set[Trigger] = set()
        self._next_turn = self._after_turns(1)
        self._next_full = self._full_pass_after(clock())
        self._full_again: float | None = None
        self._in_part = 0

    def connected(self) -> None:
        """A connection has begun: a run for what was missed is due."""
        self._wanted.add(Trigger.CONNECTED)

    def take(self) -> Trigger | None:
        """Return the trigger of the run that is due, if any, and mark it as running.

        A connection that begins from here on makes another run due.
        """
        now = self._clock()
        if now >= self._next_full:
            self._next_full = self._full_pass_after(now)
            self._wanted.add(Trigger.DAILY)
            self._in_part = 0
        elif self._next_full - now > _DAY:  # the clock was ahead, and has been set back
            self._next_full = self._full_pass_after(now)
        if self._full_again is not None and self._monotonic() >= self._full_again:
            self._wanted.add(Trigger.DAILY)
        if self._monotonic() >= self._next_turn:
            self._wanted |= self._postponed or {Trigger.PERIODIC}
            self._postponed.clear()
        due = next((trigger for trigger in _URGENT if trigger in self._wanted), None)
        if due is not None:
            self._wanted.clear()
        if due is Trigger.DAILY:
            self._full_again = None
        return due

    def ended(self, trigger: Trigger, *, again: bool, partial: bool = False) -> None:
        """A run has ended.

        Args:
            trigger: the one that was due.
            again: whether it failed and has to be repeated.
            partial: whether it was partial.
        """
        if trigger is Trigger.DAILY and partial:
            self._full_again = self._after_turns(2**self._in_part)
            self._in_part += 1
        if again:
            self._postponed.add(trigger)
        elif trigger is Trigger.DAILY:
            self._postponed.clear()
        else:
            self._postponed &= {Trigger.DAILY}
        if again or not self._postponed:  # what is postponed is not put off by what went well
            self._next_turn = self._after_turns(1)

    def wait(self) -> float:
        """Return the seconds until a run is due."""
        if self._wanted:
            return 0.0
        until_full = (self._next_full - self._clock()).total_seconds()
        next_turn = min(self._next_turn, math.inf if self._full_again is None else self._full_again)
        return max(0.0, min(next_turn - self._monotonic(), until_full))

    def _after_turns(self, turns: int) -> float:
        jitter = 1 + _JITTER * (2 * self._random() - 1)
        return self._monotonic() + turns * self._every * jitter

    def _full_pass_after(self, now: datetime) -> datetime:
        today = datetime.combine(now.astimezone(UTC), self._full_pass_at, tzinfo=UTC)
        days = max(0, math.floor((now - today) / timedelta(days=1)) + 1)
        return today + timedelta(days=days)
