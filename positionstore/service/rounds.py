"""Runs what the schedule says, one run after another, whatever their results."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psycopg

from positionstore.errors import BusyError, PositionstoreError
from positionstore.log import get_logger
from positionstore.reconcile.report import RunReport, RunState
from positionstore.reconcile.scope import Trigger
from positionstore.redaction import redacted
from positionstore.service.schedule import Schedule

_log = get_logger(__name__)

_LONGEST_WAIT: Final = 600.0
"""Seconds; a clock that was put forward is noticed then."""

_MOST_TROUBLES: Final = 20
_NUMBER: Final = re.compile(r"[0-9.,]+")

Reconcile = Callable[[Trigger], Awaitable[RunReport]]
Wait = Callable[[asyncio.Event, float], Awaitable[None]]


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, for a number of seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class _State(StrEnum):
    WELL = "well"
    PARTIAL = "partial"
    FAILED = "failed"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: _State
    cause: str = ""
    error: Exception | None = None  # an unexpected one

    @property
    def trouble(self) -> str:
        """What is wrong; different numbers or unseen positions are the same trouble."""
        cause = "" if self.state is _State.PARTIAL else _NUMBER.sub("", self.cause)
        return f"{self.state} {cause}"


class ReconcileLoop:
    """One reconciliation after another.

    A failed run is logged and followed by the next; the same trouble is not logged again until
    one succeeds. A reconciliation in another process is not a failure.

    Args:
        timetable: says what is due.
        reconcile: does a run.
        wait: waits for an event, with a timeout.
    """

    def __init__(self, timetable: Schedule, reconcile: Reconcile, *, wait: Wait = wait_for) -> None:
        self._timetable = timetable
        self._reconcile = reconcile
        self._wait = wait
        self._woken = asyncio.Event()
        self._told: dict[str, _State] = {}

    def connected(self) -> None:
        """A connection has begun: reconcile what was missed before it."""
        self._timetable.connected()
        self._woken.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._woken.clear()
            trigger = self._timetable.take()
            if trigger is None:
                await self._wait(self._woken, min(self._timetable.wait(), _LONGEST_WAIT))
                continue
            outcome = await self._do(trigger)
            again = outcome.state in {_State.FAILED, _State.BUSY}
            self._timetable.ended(trigger, again=again, partial=outcome.state is _State.PARTIAL)
            self._tell(trigger, outcome)

    async def _do(self, trigger: Trigger) -> _Outcome:
        try:
            report = await self._reconcile(trigger)
        except BusyError as error:
            return _Outcome(_State.BUSY, str(error))
        except (PositionstoreError, psycopg.Error) as error:
            return _Outcome(_State.FAILED, _in_short(error))
        except Exception as error:  # noqa: BLE001 - no failure of one run may stop the next
            return _Outcome(_State.FAILED, _in_short(error), error)
        if report.state is RunState.COMPLETE:
            return _Outcome(_State.WELL)
        partial = report.state is RunState.PARTIAL
        return _Outcome(_State.PARTIAL if partial else _State.FAILED, report.error or "")

    def _tell(self, trigger: Trigger, outcome: _Outcome) -> None:
        """Log each trouble once, and when all is well again."""
        if outcome.state is _State.WELL:
            if set(self._told.values()) - {_State.BUSY}:
                _log.info("reconciliation_back", trigger=trigger)
            self._told.clear()
            return
        if outcome.trouble in self._told or len(self._told) >= _MOST_TROUBLES:
            return
        self._told[outcome.trouble] = outcome.state
        if outcome.state is _State.BUSY:
            _log.info("reconciliation_elsewhere", trigger=trigger)
        elif outcome.state is _State.PARTIAL:
            _log.warning("reconciliation_partial", trigger=trigger, error=outcome.cause)
        else:
            _log.error(
                "reconciliation_failed",
                trigger=trigger,
                error=outcome.cause,
                exc_info=outcome.error,
            )


def _in_short(error: Exception) -> str:
    return redacted(str(error)) or type(error).__name__
