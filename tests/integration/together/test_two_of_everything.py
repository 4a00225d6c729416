"""Two ingesters on one store: every event once, and coverage is what the two covered together."""

import signal

import psycopg
from support.fork_server import Process
from support.programs import Programs, ended
from support.waiting import eventually

from positionstore.sandbox import Options, Sandbox


def world(**options: object) -> Sandbox:
    settled: dict[str, object] = {
        "seed": 11,
        "positions": 40,
        "rate": 60.0,
        "partners": 1,
        "wallets": 1,
        "api_key_lists": True,
    }
    return Sandbox(Options(**{**settled, **options}))  # type: ignore[arg-type] # by name


def value(database: psycopg.Connection, query: str) -> int:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def sessions(database: psycopg.Connection) -> int:
    return value(database, "SELECT count(*) FROM stream_sessions")


def gaps(database: psycopg.Connection) -> list[tuple[object, ...]]:
    return database.execute("SELECT * FROM coverage_gaps").fetchall()


def newest_is_overlapped(database: psycopg.Connection) -> bool:
    """Whether another session that stands has had a packet since the newest began."""
    row = database.execute(
        """
        SELECT EXISTS (
            SELECT FROM stream_sessions other
            JOIN (SELECT * FROM stream_sessions ORDER BY session_id DESC LIMIT 1) newest
              ON other.session_id <> newest.session_id
            WHERE other.ended_at IS NULL AND other.last_seen_at >= newest.started_at
        )
        """
    ).fetchone()
    return bool(row and row[0])


def delivered(sandbox: Sandbox) -> set[str]:
    return {record.event_id for record in sandbox.records if record.fate == "delivered"}


def logged(database: psycopg.Connection) -> list[str]:
    rows = database.execute("SELECT event_id FROM events WHERE source <> 'rest'").fetchall()
    return [name for (name,) in rows]


async def all_kept(sandbox: Sandbox, database: psycopg.Connection) -> None:
    """Let the world rest; wait until all that was delivered is in the log, and see: once."""
    await sandbox.quiet()
    await eventually(lambda: delivered(sandbox) <= set(logged(database)))
    names = logged(database)
    assert len(names) == len(set(names))


async def grown(sandbox: Sandbox, database: psycopg.Connection, by: int = 30) -> None:
    """Wait until more of what was delivered is in the log."""
    there = len(logged(database))
    await eventually(lambda: len(logged(database)) > there + by)


class Pair:
    """Two ingesters, each started again when it is asked for."""

    def __init__(self, programs: Programs, sandbox: Sandbox, gateway: str) -> None:
        self.programs, self.sandbox, self.gateway = programs, sandbox, gateway
        self.running: dict[str, Process] = {}

    async def start(self, name: str) -> None:
        """Start one, and wait until it is connected."""
        before = len(self.sandbox.clients)
        self.running[name] = await self.programs.start(
            "run",
            f"--gateway={self.gateway}",
            DIMES_WALLET_ADDRESS=self.sandbox.wallets[0],
            POSITIONSTORE_DATA_DIR=str(self.programs.folder / name),
            POSITIONSTORE_HEARTBEAT_EVERY="0.1",
        )
        await self.sandbox.wait_for_clients(before + 1)

    async def start_both(self) -> None:
        """Start both, one after the other."""
        for name in ("first", "second"):
            await self.start(name)

    async def end_both(self) -> None:
        """Stop both."""
        for name in list(self.running):
            await self.end(name, signal.SIGTERM)

    async def end(self, name: str, number: signal.Signals) -> None:
        """End one, and wait until the gateway has noticed."""
        before = len(self.sandbox.clients)
        process = self.running.pop(name)
        process.send_signal(number)
        done = await ended(process)
        assert done.code in {0, -signal.SIGKILL}, done
        await self.sandbox.wait_for_clients(before - 1)


async def test_a_rolling_restart_leaves_no_gap_and_keeps_every_event_once(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        pair = Pair(programs, sandbox, "partner")
        await pair.start_both()
        await grown(sandbox, database)
        for name in ("first", "second"):
            await pair.end(name, signal.SIGTERM)
            await grown(sandbox, database)
            before = sessions(database)
            await pair.start(name)
            await eventually(lambda: sessions(database) > before)  # noqa: B023
            # A session covers the time up to its last packet: only now may the other one be ended.
            await eventually(lambda: newest_is_overlapped(database))
        await all_kept(sandbox, database)
        emitted = {record.event_id for record in sandbox.records if record.fate != "unheard"}
        assert emitted <= set(logged(database))
        assert gaps(database) == []
        assert sessions(database) >= 4
        await pair.end_both()


async def test_one_that_is_killed_is_covered_by_the_other(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        pair = Pair(programs, sandbox, "customer")
        await pair.start_both()
        for name in ("second", "first"):
            await grown(sandbox, database)
            await pair.end(name, signal.SIGKILL)
            await grown(sandbox, database)
            before = sessions(database)
            await pair.start(name)
            await eventually(lambda: sessions(database) > before)  # noqa: B023
        await all_kept(sandbox, database)
        assert gaps(database) == []
        await pair.end_both()


async def test_where_both_are_gone_there_is_a_gap_and_the_service_repairs_it(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        pair = Pair(programs, sandbox, "partner")
        await pair.start_both()
        await grown(sandbox, database)
        await pair.end("second", signal.SIGTERM)
        # At rest, for what is on its way to the last of them when it stops is delivered to nobody.
        await all_kept(sandbox, database)
        await pair.end("first", signal.SIGTERM)
        sandbox.resume()
        unheard = sandbox.stats()["unheard"]
        await eventually(lambda: sandbox.stats()["unheard"] > unheard + 20)
        await pair.start_both()
        unrepaired = "SELECT count(*) FROM coverage_gaps WHERE repaired_at IS NULL"
        await eventually(lambda: len(gaps(database)) == 1)
        await eventually(lambda: value(database, unrepaired) == 0)
        await all_kept(sandbox, database)
        await pair.end_both()


async def test_a_partner_and_a_customer_gateway_share_a_store(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(wallets=4) as sandbox:
        programs.against(sandbox)
        partner = Pair(programs, sandbox, "partner")
        customer = Pair(programs, sandbox, "customer")
        await partner.start("first")
        await customer.start("second")
        await grown(sandbox, database, by=100)
        await all_kept(sandbox, database)
        wallet = sandbox.wallets[0].lower()
        heard_twice = {
            record.event_id
            for record in sandbox.records
            if len(record.recipients) == 2 and record.wallet.lower() == wallet
        }
        assert heard_twice
        names = logged(database)
        assert sum(name in heard_twice for name in names) == len(heard_twice)
        assert gaps(database) == []
        await customer.end("second", signal.SIGTERM)
        await partner.end("first", signal.SIGTERM)
