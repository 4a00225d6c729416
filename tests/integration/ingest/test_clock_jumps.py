"""Our wall clock is set forward and back while events stream in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from support.reconciling import Desk
from support.waiting import eventually

from positionstore.ingest.ingester import Ingester
from positionstore.model.facts import Source
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.sandbox import Options, Sandbox
from positionstore.store import projection
from positionstore.store.database import Store

SETTINGS: Final = (3.0, -5.0, 24.0 * 400, 0.0)
"""By how many hours our clock is wrong, one after the other; at last it is right."""

GAPS: Final = (
    "SELECT count(*) FROM coverage_gaps WHERE ended_at IS NOT NULL AND repaired_at IS NULL"
)
EVENTS: Final = "SELECT envelope::text FROM events WHERE source = 'partner' ORDER BY seq"


class Clock:
    """Ours."""

    def __init__(self) -> None:
        self.wrong = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.wrong


@asynccontextmanager
async def ingesting(desk: Desk, clock: Clock) -> AsyncIterator[None]:
    settings = desk.settings(heartbeat_every=0.05)
    stop = asyncio.Event()
    task = asyncio.ensure_future(
        Ingester(settings, desk.store, Source.PARTNER, clock=clock).run(stop)
    )
    try:
        yield
        stop.set()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def desk(store_url: str) -> AsyncIterator[Desk]:
    options = Options(seed=7, ticking=False, positions=40, partners=1, api_key_lists=True)
    async with Sandbox(options) as serving:
        yield Desk(serving, Store(store_url, embedded=False))


def sent(desk: Desk) -> list[str]:
    return [bytes(record.envelope).decode() for record in desk.serving.records if record.recipients]


async def connected(desk: Desk, times: int) -> None:
    await eventually(lambda: desk.one("SELECT count(*) FROM stream_sessions") >= times)
    await desk.serving.wait_for_clients(1)


async def test_nothing_is_lost_and_no_session_vouches_for_an_hour_that_never_was(
    desk: Desk,
) -> None:
    clock = Clock()
    async with ingesting(desk, clock):
        await connected(desk, 1)
        await desk.serving.step(30)
        for number, hours in enumerate(SETTINGS, start=2):
            clock.wrong = timedelta(hours=hours)
            await desk.serving.step(30)
            await connected(desk, number)
            await desk.serving.step(30)
        await eventually(lambda: desk.facts == len(sent(desk)))

    assert sorted(text for (text,) in desk.rows(EVENTS)) == sorted(sent(desk))
    assert desk.rows("SELECT end_reason FROM stream_sessions ORDER BY session_id") == [
        *[("the clock was set",)] * len(SETTINGS),
        ("stopped",),
    ]
    assert desk.one("SELECT max(last_seen_at - started_at) FROM stream_sessions") < timedelta(
        minutes=10
    )
    assert desk.one("SELECT count(*) FROM quarantine") == 0


async def test_afterwards_one_run_repairs_every_position_and_no_gap_that_lies_ahead(
    desk: Desk,
) -> None:
    clock = Clock()
    desk.serving.faults.lost = 0.3
    async with ingesting(desk, clock):
        await connected(desk, 1)
        for number, hours in enumerate(SETTINGS, start=2):
            await desk.serving.step(20)
            clock.wrong = timedelta(hours=hours)
            desk.serving.faults.lost = 0.0
            await desk.serving.step(1)
            await connected(desk, number)
            desk.serving.faults.lost = 0.3
        await eventually(lambda: desk.facts == len(sent(desk)))

    await desk.serving.quiet()
    now = await reconciled(desk, clock)
    assert now.repaired > 0
    # What begins when our clock was ahead has not come yet: a run that begins then sees to it.
    assert desk.one(GAPS) == sum(hours > 0 for hours in SETTINGS)
    clock.wrong = timedelta(hours=max(SETTINGS) + 1)
    later = await reconciled(desk, clock)
    assert (later.repaired, desk.one(GAPS)) == (0, 0)


async def reconciled(desk: Desk, clock: Clock) -> RunReport:
    """Do a full run; then every durable field is the truth, and the fold of its facts."""
    reconciler = Reconciler(desk.settings(), desk.store, clock=clock, sleep=desk.sleep)
    report = await reconciler.run(Trigger.COMMAND, Scope.full())
    assert report.state is RunState.COMPLETE
    assert desk.wrong() == {}
    with desk.store.connect() as connection:
        assert projection.verify(connection) == []
    return report
