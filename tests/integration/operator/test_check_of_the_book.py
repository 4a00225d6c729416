"""``positionstore check``: gateway, coverage, drift, clock, sample, spool and disk."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.factories import event
from support.harness.disk import small_disk
from support.programs import Programs, programs_on
from support.shown import Shown

from positionstore.ingest.spools import Spools
from positionstore.model.facts import Received, Source
from positionstore.sandbox import Options, Sandbox
from positionstore.settings import Environment
from positionstore.store.appender import Appender
from positionstore.store.database import connect


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs_on(store_url, tmp_path) as programs:
        yield programs


@pytest.fixture
def database(store_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(store_url, autocommit=True) as connection:
        yield connection


async def found(programs: Programs, *failing: str, **environment: str) -> dict[str, str]:
    """What each check says, where exactly these of them fail."""
    done = await programs.run("check", "--json", expect=3 if failing else 0, **environment)
    checks: list[dict[str, Any]] = done.json["checks"]
    assert [each["name"] for each in checks if not each["ok"]] == list(failing)
    assert done.json["ok"] is not bool(failing)
    return {each["name"]: each["says"] for each in checks}


def append(url: str, *names: str) -> None:
    with connect(url) as connection:
        events = [event(f"evt_{name}", position=f"dm_pos_{name}") for name in names]
        Appender(connection).append(events)


def ran(database: psycopg.Connection, ago: timedelta, scope: str, **columns: object) -> int:
    values = {
        "trigger": "periodic", "scope": scope, "started_at": datetime.now(UTC) - ago,
        "finished_at": datetime.now(UTC) - ago, "state": "complete", **columns,
    }  # fmt: skip
    places = ", ".join(f"%({name})s" for name in values)
    ((run_id,),) = database.execute(
        f"INSERT INTO reconciliation_runs ({', '.join(values)}) VALUES ({places}) "
        "RETURNING run_id".encode(),
        values,
    ).fetchall()
    return int(run_id)


def differed(
    database: psycopg.Connection, run_id: int, position: str, resolution: str, ago: timedelta
) -> None:
    for field in ("status", "closed_at"):
        database.execute(
            "INSERT INTO discrepancies VALUES (%s, %s, 'stale', %s, NULL, NULL, %s, %s)",
            [run_id, position, field, resolution, datetime.now(UTC) - ago],
        )


def streamed(database: psycopg.Connection, began: timedelta, heard: timedelta) -> None:
    database.execute(
        "INSERT INTO stream_sessions (gateway, started_at, last_seen_at)"
        " VALUES ('partner', %s, %s)",
        [datetime.now(UTC) - began, datetime.now(UTC) - heard],
    )


async def test_an_empty_store_is_well_and_says_what_is_not_known_yet(programs: Programs) -> None:
    says = await found(programs)

    assert says["gateway"] == "never connected: no ingester has run yet"
    assert says["coverage"] == "gaps: none"
    assert says["clock"] == "not known: no run could tell yet"
    assert says["verify"] == "there are no positions yet"
    assert says["spool"] == "empty; 4.0 GB is the bound of each"
    assert says["disk space"].endswith("(data directory)")


async def test_a_stream_that_is_lost_fails_as_gateway_and_as_coverage(
    programs: Programs, database: psycopg.Connection
) -> None:
    streamed(database, timedelta(hours=30), timedelta(hours=6))
    lost = await found(programs, "gateway", "coverage")
    streamed(database, timedelta(minutes=5), timedelta(minutes=-5))
    back = await found(programs, "coverage")
    shown = (await programs.run("status")).out

    assert lost["gateway"] == "not connected; last heard 6 hours ago"
    assert lost["coverage"].startswith("gaps: 1 unrepaired, 6 hours together")
    assert back["gateway"] == "partner connected, heard 0 seconds ago"
    assert back["coverage"].endswith("`positionstore backfill` repairs them")
    assert f"gaps\t{back['coverage'].removeprefix('gaps: ')}" in shown.splitlines()


async def test_drift_counts_what_stays_and_not_what_a_later_run_settled(
    programs: Programs, database: psycopg.Connection, store_url: str
) -> None:
    append(store_url, "equal", "stuck")
    old = ran(database, timedelta(days=9), "recent")
    differed(database, old, "dm_pos_before_the_full_run", "unresolved", timedelta(days=9))
    full = ran(database, timedelta(hours=9), "full")
    for name in ("equal", "stuck", "gone", "repaired"):
        differed(database, full, f"dm_pos_{name}", "unresolved", timedelta(hours=9))
    next_one = ran(database, timedelta(hours=1), "recent")
    differed(database, next_one, "dm_pos_repaired", "repaired", timedelta(hours=1))
    differed(database, next_one, "dm_pos_stuck", "unresolved", timedelta(hours=1))
    database.execute(
        "UPDATE positions SET verified_at = %s WHERE position_id = 'dm_pos_equal'",
        [datetime.now(UTC) - timedelta(hours=1)],
    )
    says = await found(programs, "drift")
    shown = await programs.run("status")
    told = (await programs.run("status", "--json")).json

    assert "; 2 still different (" in says["drift"]
    assert f"drift\t{says['drift']}" in shown.out.splitlines()
    assert told["drift"]["still_different"] == 2


@pytest.mark.parametrize(
    ("seconds", "says", "failing"),
    [
        (-0.4, "the vendor's is 400 ms behind ours, by run 1, 2 hours ago", []),
        (11, "the vendor's is 11.0 s ahead of ours, by run 1, 2 hours ago", ["clock"]),
        (-3600, "the vendor's is 3,600.0 s behind ours, by run 1, 2 hours ago", ["clock"]),
    ],
)
async def test_clocks_that_are_apart_fail(
    programs: Programs,
    database: psycopg.Connection,
    seconds: float,
    says: str,
    failing: list[str],
) -> None:
    ran(database, timedelta(hours=2), "recent", clock_offset=timedelta(seconds=seconds))

    assert (await found(programs, *failing))["clock"] == says
    assert f"clock\t{says}" in (await programs.run("status")).out.splitlines()


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE positions SET entry_price_usd_pips = 1 WHERE position_id = 'dm_pos_7'",
        "DELETE FROM positions WHERE position_id = 'dm_pos_7'",
        "UPDATE positions SET position_id = 'dm_pos_none' WHERE position_id = 'dm_pos_7'",
    ],
)
async def test_a_row_that_is_not_the_fold_of_its_facts_is_found_by_the_sample(
    programs: Programs, database: psycopg.Connection, store_url: str, wrong: str
) -> None:
    append(store_url, *map(str, range(40)))
    well = await found(programs)
    database.execute(wrong.encode())
    says = await found(programs, "verify")

    assert well["verify"] == "40 positions, taken at random, are the fold of their facts"
    assert "`positionstore rebuild` puts them right" in says["verify"]
    await programs.run("rebuild")
    assert await found(programs)


async def test_a_spool_fails_where_inputs_wait_for_long_or_one_is_damaged(
    programs: Programs, tmp_path: Path
) -> None:
    spools = Spools(tmp_path / "data", max_bytes=10**9)
    what = event("evt_1").what
    spools.own(Environment.SANDBOX).append(1, [Received(what, datetime.now(UTC), Source.PARTNER)])
    lately = await found(programs)
    spool = spools.own(Environment.SANDBOX)
    spool.append(1, [Received(what, datetime.now(UTC) - timedelta(minutes=6), Source.PARTNER)])
    long_ago = await found(programs, "spool")
    spool.set_aside()
    damaged = await found(programs, "spool")

    assert lately["spool"].startswith("1 events wait for the database, ")
    assert "2 events wait" in long_ago["spool"]
    assert "the oldest received " in long_ago["spool"]
    assert "; 1 damaged, set aside; " in damaged["spool"]


async def test_a_disk_that_is_nearly_full_fails(programs: Programs, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 32) as disk:
        if disk is None:
            pytest.skip("a file system of its own is not to be had here")
        programs.environment["POSITIONSTORE_DATA_DIR"] = str(disk.path / "data")
        room = await found(programs)
        disk.fill(all_but=1_000_000)
        full = await found(programs, "disk space")

    assert room["disk space"].endswith(" MB free of 33.6 MB (data directory)")
    assert full["disk space"].endswith("B free of 33.6 MB (data directory)")


async def test_a_service_on_this_machine_says_for_itself_how_it_is_connected(
    programs: Programs, database: psycopg.Connection
) -> None:
    programs.environment["POSITIONSTORE_LOG_FORMAT"] = "json"
    token = {"POSITIONSTORE_LISTEN_TOKEN": "a-token-that-nobody-guesses"}
    async with Sandbox(Options(seed=7, positions=9, rate=30.0)) as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("ingest", POSITIONSTORE_LISTEN="127.0.0.1:0", **token))
        await shown.ready()
        address = await shown.address()
        connected = await found(programs, POSITIONSTORE_LISTEN=address, **token)
        notes = (await programs.run("check", POSITIONSTORE_LISTEN=address)).out
        away = await found(
            programs,
            "database",
            POSITIONSTORE_LISTEN=address,
            DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        )
        await shown.stopped()

    said = f"the service on {address} says that its gateway is connected"
    assert connected["gateway"].startswith("partner connected, heard ")
    assert f"gateway: {said}" in notes.splitlines()
    assert away["gateway"] == said


async def test_a_check_that_a_lock_keeps_waiting_fails_alone(
    programs: Programs, database: psycopg.Connection
) -> None:
    with database.transaction():
        database.execute("LOCK TABLE discrepancies IN ACCESS EXCLUSIVE MODE")
        says = await found(programs, "drift")

    assert says["drift"] == "canceling statement due to lock timeout"
    assert says["verify"] == "there are no positions yet"
