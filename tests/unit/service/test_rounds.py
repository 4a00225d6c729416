"""One run after the other, whatever becomes of them, and each state logged once."""

import asyncio
from datetime import UTC, datetime, time, timedelta

import psycopg
import structlog
from structlog.testing import capture_logs
from support.waiting import DEADLINE

from positionstore.errors import BusyError, DatabaseUnavailableError
from positionstore.reconcile.report import RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.service.rounds import ReconcileLoop, wait_for
from positionstore.service.schedule import Schedule

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
FULL_PASS = datetime(2026, 7, 1, 3, 29, 59, tzinfo=UTC)
End = RunState | Exception


class Service:
    """Rounds whose time passes only while they wait, and whose runs end as a test says."""

    def __init__(self, *ends: End, start: datetime = NOON) -> None:
        self.passed = 0.0
        self.ends = list(ends)
        self.runs: list[tuple[Trigger, float]] = []
        self.over = asyncio.Event()
        timetable = Schedule(
            every=300,
            full_pass_at=time(3, 30),
            random=lambda: 0.5,
            monotonic=lambda: self.passed,
            clock=lambda: start + timedelta(seconds=self.passed),
        )
        self.rounds = ReconcileLoop(timetable, self._reconcile, wait=self._wait)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        assert seconds > 0
        await asyncio.sleep(0)
        if not event.is_set():
            self.passed += seconds

    async def _reconcile(self, trigger: Trigger) -> RunReport:
        if not self.ends:
            self.over.set()
            await asyncio.Event().wait()
        self.runs.append((trigger, self.passed))
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        report = RunReport(trigger, Scope.full(), dry_run=False, started_at=NOON)
        report.state = end
        if end is not RunState.COMPLETE:
            report.errors = [f"GET /positions failed. Tried 3 times within {self.passed:.0f} s."]
        return report

    async def run(self) -> list[str]:
        """Let all of it happen; return what was logged."""
        with capture_logs() as lines:
            task = asyncio.ensure_future(self.rounds.run())
            await asyncio.wait_for(self.over.wait(), DEADLINE)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        return [line["event"] for line in lines]


def setup_function() -> None:
    structlog.reset_defaults()


async def test_an_exception_is_logged_once_and_the_next_turn_comes() -> None:
    lost = psycopg.OperationalError("connection to server failed: port 5432")
    service = Service(*[lost] * 4, RunState.COMPLETE, ValueError("?"), RunState.COMPLETE)

    logged = await service.run()

    assert logged == ["reconciliation_failed", "reconciliation_back", "reconciliation_failed",
                      "reconciliation_back"]  # fmt: skip
    assert [at for _, at in service.runs] == [300.0 * n for n in range(1, 8)]


async def test_another_failure_is_logged_too_but_other_numbers_are_no_other_failure() -> None:
    service = Service(
        RunState.PARTIAL,
        RunState.PARTIAL,
        DatabaseUnavailableError("The database cannot be reached: port 5432."),
        DatabaseUnavailableError("The database cannot be reached: port 5433."),
        RunState.FAILED,
        RunState.COMPLETE,
        RunState.COMPLETE,
    )

    assert await service.run() == [
        "reconciliation_partial",
        "reconciliation_failed",
        "reconciliation_failed",
        "reconciliation_back",
    ]


async def test_that_another_process_reconciles_is_no_failure() -> None:
    service = Service(BusyError("Busy."), BusyError("Busy."), RunState.COMPLETE, RunState.COMPLETE)

    assert await service.run() == ["reconciliation_elsewhere"]


async def test_a_full_pass_that_was_partial_is_done_again_at_the_next_turn() -> None:
    service = Service(RunState.PARTIAL, RunState.COMPLETE, RunState.COMPLETE, start=FULL_PASS)

    await service.run()

    assert [trigger for trigger, _ in service.runs] == [
        Trigger.DAILY,
        Trigger.DAILY,
        Trigger.PERIODIC,
    ]


async def test_a_connection_wakes_it_from_its_sleep() -> None:
    service = Service(RunState.COMPLETE)
    service.rounds._wait = wait_for
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(service.rounds.run())
    loop.call_later(0.01, service.rounds.connected)
    async with asyncio.timeout(DEADLINE):
        while not service.runs:  # noqa: ASYNC110 - of a list, nobody sets an event
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert service.runs == [(Trigger.CONNECTED, 0.0)]


async def test_a_wait_ends_in_time_without_the_event() -> None:
    await wait_for(asyncio.Event(), 0.001)
