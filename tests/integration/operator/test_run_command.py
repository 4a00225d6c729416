"""``positionstore run``: the ingester and the reconciler, neither stopping the other."""

import asyncio
import signal
import time
from itertools import pairwise

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from support.fork_server import Process
from support.programs import Programs, ended
from support.waiting import DEADLINE, eventually

from positionstore.ingest.ingester import TIME_TO_WRITE
from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.store.locks import RECONCILE_LOCK


def world(**options: object) -> Sandbox:
    settled = {"seed": 7, "positions": 40, "rate": 30.0, "api_key_lists": True, "warm_up": 60.0}
    return Sandbox(Options(**{**settled, **options}))  # type: ignore[arg-type] # by name


def value(database: psycopg.Connection, query: str) -> int:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def runs(database: psycopg.Connection, where: str = "state = 'complete'") -> int:
    return value(database, f"SELECT count(*) FROM reconciliation_runs WHERE {where}")


def events(database: psycopg.Connection) -> int:
    return value(database, "SELECT count(*) FROM events WHERE source = 'partner'")


async def stopped(process: Process) -> list[str]:
    """Stop it, see that it ends well and in time; return what it logged."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    done = await ended(process)
    assert done.code == 0, done
    assert time.monotonic() - began < 10
    assert done.actions[-1] == "stopped"
    return done.actions


async def test_it_reconciles_after_each_connection_and_repairs_what_was_missed(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(rate=200.0) as sandbox:
        programs.against(sandbox)
        process = await programs.start("run")
        await eventually(
            lambda: runs(database, "trigger = 'connected' AND state = 'complete'") > 0, within=60
        )
        sandbox.faults.update({"refuse_connections": True})
        await sandbox.disconnect_clients("transport")
        before = len(sandbox.records)
        await eventually(lambda: len(sandbox.records) > before + 50)  # unheard
        await sandbox.quiet()
        sandbox.faults.update({"refuse_connections": False})
        repaired = "SELECT count(*) FROM coverage_gaps WHERE repaired_at IS NOT NULL"
        await eventually(lambda: value(database, repaired) == 1)
        logged = await stopped(process)
        truth = {
            position_id: position["status"]
            for position_id, position in sandbox.world.truth(0).items()
        }

    found: dict[str, str] = dict(
        database.execute("SELECT position_id, status FROM positions").fetchall()
    )
    assert found == {name: status for name, status in truth.items() if name in found}
    active = {"pending", "open", "unwinding", "closing", "settling"}
    assert {name for name, status in truth.items() if status in active} <= set(found)
    assert logged.count("gateway_connected") >= 2
    # The stream is attached first, then the run begins.
    late = database.execute(
        "SELECT r.started_at >= s.started_at FROM reconciliation_runs r JOIN stream_sessions s"
        " ON s.session_id = 1 WHERE r.run_id = 1"
    ).fetchone()
    assert late == (True,)


async def test_of_a_customer_it_reconciles_that_wallet_alone(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(wallets=3) as sandbox:
        programs.against(sandbox)
        wallet = sandbox.wallets[0]
        process = await programs.start("run", "--gateway", "customer", DIMES_WALLET_ADDRESS=wallet)
        await eventually(lambda: runs(database) > 0)
        await stopped(process)

    reach = database.execute("SELECT DISTINCT reach FROM reconciliation_runs").fetchall()
    shown = database.execute("SELECT DISTINCT wallet_address FROM positions").fetchall()
    assert (reach, shown) == ([("wallets",)], [(wallet,)])


async def test_it_reconciles_every_so_often(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        process = await programs.start("run", POSITIONSTORE_RECONCILE_EVERY="0.2")
        where = "trigger = 'periodic' AND state = 'complete'"
        await eventually(lambda: runs(database, where) >= 2)
        await stopped(process)


async def test_a_run_that_fails_does_not_stop_the_ingester_and_is_tried_again(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(api_key_lists=False, faults=Faults(rest_errors=1.0)) as sandbox:
        programs.against(sandbox)
        process = await programs.start(
            "run", POSITIONSTORE_RECONCILE_EVERY="0.2", POSITIONSTORE_HTTP_RETRY_BUDGET="0"
        )
        await eventually(lambda: runs(database, "state = 'failed'") >= 3)
        heard = events(database)
        await eventually(lambda: events(database) > heard)
        sandbox.faults.update({"rest_errors": 0.0})
        # The result of the first is told before the second begins.
        await eventually(lambda: runs(database) > 1)
        logged = await stopped(process)

    told = [action for action in logged if action.startswith("reconciliation_")]
    # Without a budget for retries a slow machine may know another trouble afterwards.
    first = told[: told.index("reconciliation_back")]
    assert first in (["reconciliation_failed"], ["reconciliation_failed"] * 2)  # 500, and 503
    assert ("reconciliation_back", "reconciliation_back") not in set(pairwise(told))


async def test_it_waits_for_another_process_that_reconciles(
    programs: Programs, database: psycopg.Connection
) -> None:
    database.execute("SELECT pg_advisory_lock(%s)", [RECONCILE_LOCK])
    async with world() as sandbox:
        programs.against(sandbox)
        process = await programs.start("run", POSITIONSTORE_RECONCILE_EVERY="0.2")
        await eventually(lambda: events(database) > 20)
        assert runs(database, "true") == 0
        database.execute("SELECT pg_advisory_unlock(%s)", [RECONCILE_LOCK])
        await eventually(lambda: runs(database) > 0)
        logged = await stopped(process)

    assert "reconciliation_failed" not in logged


async def test_both_survive_an_outage_of_the_database(
    programs: Programs, database: psycopg.Connection, store_url: str, database_url: str
) -> None:
    name = sql.Identifier(str(conninfo_to_dict(store_url)["dbname"]))
    with psycopg.connect(database_url, autocommit=True) as outside:
        async with world() as sandbox:
            programs.against(sandbox)
            process = await programs.start("run", POSITIONSTORE_RECONCILE_EVERY="0.2")
            await eventually(lambda: runs(database) > 0)
            database.close()
            outside.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
            outside.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [conninfo_to_dict(store_url)["dbname"]],
            )
            delivered = sandbox.stats()["delivered"]
            await eventually(lambda: sandbox.stats()["delivered"] > delivered + 40)
            outside.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            with psycopg.connect(store_url, autocommit=True) as again:
                before = runs(again)
                await eventually(lambda: runs(again) > before + 1)
                await sandbox.quiet()
                delivered_ids = {
                    record.event_id
                    for record in sandbox.records
                    if record.fate == "delivered" and record.partner == 0
                }

                def lost() -> set[str]:
                    heard = again.execute("SELECT event_id FROM events").fetchall()
                    return delivered_ids - {name for (name,) in heard}

                await eventually(lambda: not lost())
                logged = await stopped(process)

    assert logged.count("database_lost") >= 1
    assert "database_back" in logged


async def test_refused_credentials_end_it_in_one_line(programs: Programs) -> None:
    async with world(faults=Faults(refuse_api_keys=True)) as sandbox:
        programs.against(sandbox)
        done = await programs.run("run", expect=1)

    last = done.err.splitlines()[-1]
    assert last.startswith("positionstore: ")
    assert "DIMES_API_KEY" in last
    assert sandbox.api_key not in done.err


async def test_a_run_that_is_under_way_is_ended_and_on_record(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(faults=Faults(rest_latency=60.0)) as sandbox:
        programs.against(sandbox)
        process = await programs.start("run")
        await eventually(lambda: runs(database, "state = 'running'") > 0)
        await stopped(process)

    states = database.execute("SELECT state FROM reconciliation_runs").fetchall()
    assert states == [("failed",)]


async def test_a_database_that_does_not_answer_the_reconciler_cannot_hold_up_the_end(
    programs: Programs, store_url: str, database: psycopg.Connection
) -> None:
    with psycopg.connect(store_url) as blocker:
        # The reconciler's alone: the ingester can write what has arrived.
        blocker.execute("LOCK TABLE reconciliation_runs IN ACCESS EXCLUSIVE MODE")
        async with world() as sandbox:
            programs.against(sandbox)
            process = await programs.start("run")
            await eventually(lambda: events(database) > 20)
            logged = await stopped(process)

    assert "reconciler_not_ended" in logged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(
    programs: Programs, store_url: str, number: signal.Signals
) -> None:
    with psycopg.connect(store_url) as blocker:
        blocker.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        async with world(rate=100.0) as sandbox:
            programs.against(sandbox)
            process = await programs.start("run")
            await sandbox.wait_for_clients(1, within=DEADLINE)
            await eventually(lambda: sandbox.stats()["delivered"] > 20)
            process.send_signal(number)
            assert process.stderr is not None
            printed = ""
            async with asyncio.timeout(DEADLINE):
                while '"stopping"' not in printed:
                    printed += (await process.stderr.readline()).decode()
            process.send_signal(number)
            assert (await ended(process, within=TIME_TO_WRITE)).code == 128 + number
