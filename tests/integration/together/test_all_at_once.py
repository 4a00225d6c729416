"""Ingest, import, rebuild, backfill and reconcile at the same time, and readers meanwhile."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg
import pytest
from support.factories import envelope
from support.harness.readers import readers
from support.programs import Programs, ended
from support.reconciling import wrong
from support.waiting import eventually

from positionstore.sandbox import Options, Sandbox

HISTORY = 4_000
RATE = 60.0
PARTS = 3
PART = 2_500
"""Lines: an import reads 2,000 at a time."""
LONG = 40_000


def world(**options: object) -> Sandbox:
    settled: dict[str, object] = {
        "seed": 5,
        "positions": 150,
        "rate": RATE,
        "partners": 1,
        "api_key_lists": True,
    }
    return Sandbox(Options(**{**settled, **options}))  # type: ignore[arg-type] # by name


def value(database: psycopg.Connection, query: str) -> int:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def imported(database: psycopg.Connection) -> int:
    return value(database, "SELECT count(*) FROM events WHERE source = 'import'")


def missing(sandbox: Sandbox, database: psycopg.Connection) -> set[str]:
    """What was delivered and is not in the log."""
    rows = database.execute("SELECT event_id FROM events WHERE source = 'partner'").fetchall()
    heard = {record.event_id for record in sandbox.records if record.fate == "delivered"}
    return heard - {name for (name,) in rows}


def captured(sandbox: Sandbox) -> list[bytes]:
    """What was sent and not heard, as lines of a capture."""
    return [bytes(each.envelope) + b"\n" for each in sandbox.records if each.fate == "unheard"]


async def until_free(programs: Programs, *arguments: str) -> None:
    """Run a command until no other process is at the same work; then it succeeds."""
    while True:
        done = await ended(await programs.start(*arguments))
        if done.code == 0:
            return
        assert done.code == 1, done
        assert "nother" in done.err, done


@pytest.mark.slow
async def test_all_at_once_deadlocks_nowhere_loses_nothing_and_shows_no_half_batch(
    programs: Programs, database: psycopg.Connection, store_url: str, tmp_path: Path
) -> None:
    start = datetime.now(UTC) - timedelta(seconds=HISTORY / RATE)
    async with world(start=start) as sandbox, readers(lambda: store_url) as watching:
        await sandbox.step(HISTORY)
        history = {record.event_id for record in sandbox.records}
        capture = tmp_path / "capture.jsonl"
        capture.write_bytes(b"".join(captured(sandbox)))
        programs.against(sandbox)
        service = await programs.start("run", POSITIONSTORE_RECONCILE_EVERY="15")
        ingester = await programs.start("ingest")
        await sandbox.wait_for_clients(2)
        await asyncio.gather(
            programs.run("import", str(capture), POSITIONSTORE_IMPORT_BATCH_SIZE="2500"),
            programs.run("rebuild"),
            programs.run("verify"),
            until_free(programs, "backfill", "--all"),
            until_free(programs, "reconcile", "--full"),
        )
        await sandbox.quiet()
        await eventually(lambda: not missing(sandbox, database))
        for process in (service, ingester):
            process.terminate()
            assert (await ended(process)).code == 0
        await programs.run("reconcile", "--full")
        await watching.catch_up()
        assert watching.wrong == []
        assert wrong(database, sandbox.world.truth(0)) == {}
        heard = {record.event_id for record in sandbox.records if record.fate == "delivered"}
        rows = database.execute("SELECT event_id FROM events WHERE source <> 'rest'").fetchall()
        assert sorted(name for (name,) in rows) == sorted(history | heard)
    await programs.run("verify")
    assert value(database, "SELECT sum(deadlocks) FROM pg_stat_database") == 0


async def test_live_events_are_committed_while_an_import_is_still_running(
    programs: Programs, database: psycopg.Connection
) -> None:
    programs.environment["POSITIONSTORE_IMPORT_BATCH_SIZE"] = "2500"
    async with world(ticking=False) as sandbox:
        await sandbox.step(PARTS * PART)
        lines = captured(sandbox)
        programs.against(sandbox)
        ingester = await programs.start("ingest")
        await sandbox.wait_for_clients(1)
        importing = await programs.feed("import", "-")
        assert importing.stdin is not None
        for part in range(PARTS):
            done = imported(database)
            importing.stdin.writelines(lines[part::PARTS])
            await importing.stdin.drain()
            await sandbox.step(50)
            # The import has not ended, and cannot before it is told that nothing follows.
            await eventually(lambda: not missing(sandbox, database))
            await eventually(lambda: imported(database) > done)  # noqa: B023
            assert importing.returncode is None
        importing.stdin.close()
        await ended(importing)
        assert imported(database) == PARTS * PART
        ingester.terminate()
        await ended(ingester)
        await programs.run("verify")


async def test_a_live_event_waits_for_a_small_part_of_an_import_and_not_for_its_end(
    programs: Programs, database: psycopg.Connection, tmp_path: Path
) -> None:
    lines = [envelope(f"evt_{n}", position=f"dm_pos_{n % 500}", at=n) for n in range(LONG)]
    (tmp_path / "long.jsonl").write_bytes(b"\n".join(lines))
    programs.environment["POSITIONSTORE_IMPORT_BATCH_SIZE"] = "10000"
    waits: list[float] = []
    async with world(ticking=False) as sandbox:
        programs.against(sandbox)
        ingester = await programs.start("ingest")
        await sandbox.wait_for_clients(1)
        importing = asyncio.ensure_future(programs.run("import", str(tmp_path / "long.jsonl")))
        await eventually(lambda: imported(database) > 0)
        began = time.monotonic()
        while imported(database) < LONG:
            emitted = time.monotonic()
            await sandbox.step(1)
            await eventually(lambda: not missing(sandbox, database))
            waits.append(time.monotonic() - emitted)
        took = time.monotonic() - began
        await importing
        ingester.terminate()
        await ended(ingester)
    # A single one may be held up by whatever else this machine does.
    assert median(waits) < took / 5, (took, waits)
