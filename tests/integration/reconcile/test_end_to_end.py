"""The whole of it: a stream that loses much, an ingester that is killed, and one reconciliation."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from support.fork_server import Process
from support.programs import programs_on
from support.reconciling import Desk, wrong
from support.waiting import DEADLINE, eventually

from positionstore.reconcile.report import RunState
from positionstore.reconcile.scope import Trigger
from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.store.database import Store
from positionstore.store.projection import verify

POSITIONS = 800
DISCONNECTS = 5
LATER = "5 minutes"
"""How far what was recorded is moved into the past, as if so much time had passed."""

Start = Callable[[Sandbox], Awaitable[Process]]


@pytest.fixture
async def start(store_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts ``positionstore ingest`` as a process."""
    async with programs_on(store_url, tmp_path) as programs:

        async def start(serving: Sandbox) -> Process:
            programs.against(serving)
            return await programs.start(
                "ingest",
                POSITIONSTORE_HEARTBEAT_EVERY="0.05",
                POSITIONSTORE_RECONNECT_CAP="0.05",
            )

        yield start


def let_time_pass(connection: psycopg.Connection) -> None:
    """Move what was recorded into the past: a session without an end is then known to be dead."""
    connection.execute(
        "UPDATE stream_sessions SET started_at = started_at - %(by)s::interval,"
        " last_seen_at = last_seen_at - %(by)s::interval, ended_at = ended_at - %(by)s::interval",
        {"by": LATER},
    )
    connection.execute(
        "UPDATE reconciliation_runs SET started_at = started_at - %(by)s::interval,"
        " finished_at = finished_at - %(by)s::interval",
        {"by": LATER},
    )


async def on_record(desk: Desk, sessions: int) -> None:
    """Wait until so many sessions have begun, the last of them just now."""
    begun = "SELECT count(*) FROM stream_sessions"
    await eventually(lambda: desk.one(begun) == sessions, within=2 * DEADLINE)
    await desk.serving.wait_for_clients(1, within=DEADLINE)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(7, id="seed 7"),
        pytest.param(None, id="another seed each time", marks=pytest.mark.slow),
    ],
)
async def test_after_one_reconciliation_the_store_is_the_truth(
    start: Start, store_url: str, seed: int | None
) -> None:
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    print(f"seed {seed}")
    rng = random.Random(seed)
    store = Store(store_url, embedded=False)
    faults = Faults(lost=0.1, duplicates=0.05, reordering=0.1, reorder_window=1.0)
    options = Options(
        seed=seed,
        positions=POSITIONS,
        rate=2_000,
        ticking=False,
        ping_interval=0.2,
        faults=faults,
        api_key_lists=seed % 2 == 0,
    )
    async with Sandbox(options) as serving:
        desk = Desk(serving, store)
        process = await start(serving)
        await on_record(desk, 1)
        outage_at = rng.randrange(1, DISCONNECTS)
        for number in range(DISCONNECTS):
            await serving.step(600)
            if number == outage_at:
                await eventually(lambda: desk.facts > 0)
                process.kill()
                await process.wait()
                await serving.wait_for_clients(0, within=DEADLINE)
                await serving.step(400)
                process = await start(serving)
                await on_record(desk, number + 2)
                await serving.step(200)
            await serving.disconnect_clients(rng.choice(["server", "transport"]))
            await serving.step(80)
            await on_record(desk, number + 2 + (number >= outage_at))
        heard_from = len(serving.records)
        await serving.step(200)
        await serving.quiet()
        arriving = [record.event_id for record in serving.records[heard_from:] if record.recipients]
        in_the_log = "SELECT count(*) FROM events WHERE event_id = ANY (%s)"
        await eventually(lambda: desk.one(in_the_log, [arriving]) == len(set(arriving)))
        stats = serving.stats()
        assert stats["lost"] > 200
        assert stats["unheard"] > 400
        # The process's sessions are by the machine's clock, of which a busy one spends more.
        behind = datetime.now(UTC) - serving.now()
        await serving.advance(max(0, behind.total_seconds()) + 10)
        off = len(desk.wrong())
        assert off > 120, f"seed {seed}: too little was lost to prove anything"

        # Of a wallet that opened its only positions in the outage, the log has nothing.
        wallets = ",".join(serving.wallets)
        reconciler = desk.reconciler(settle_window=5, http_rate=10_000, wallets=wallets)
        scope = reconciler.recent_scope()
        report = await reconciler.run(Trigger.COMMAND, scope)
        assert (report.state, report.exit_code, report.errors) == (RunState.COMPLETE, 0, [])
        assert report.repaired == off == desk.snapshots

        with closing(store.connect()) as connection:
            assert wrong(connection, serving.world.truth(0)) == {}
            let_time_pass(connection)
            gaps = connection.execute(
                "SELECT count(*), bool_and(repaired_by IS NOT DISTINCT FROM %s) FROM coverage_gaps"
                " WHERE ended_at IS NOT NULL",
                [report.run_id],
            ).fetchone()
            assert gaps == (DISCONNECTS + 1, True)

        still_open = "SELECT count(*) FROM coverage_gaps WHERE ended_at IS NULL"
        await eventually(lambda: desk.one(still_open) == 0)  # with the next proof of life

        facts = desk.facts
        second = await desk.run(settle_window=5)
        assert (second.exit_code, second.discrepancies, desk.facts) == (0, [], facts)
        with closing(store.connect()) as connection:
            assert verify(connection) == []
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
