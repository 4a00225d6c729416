"""``positionstore status``: gaps, the last reconciliation, drift and lag at a glance."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from programs import Programs

Ago = Callable[..., datetime]


@pytest.fixture
def ago() -> Ago:
    """Moments before this test began."""
    now = datetime.now(UTC)
    return lambda **span: now - timedelta(**span)


def session(
    database: psycopg.Connection, began: datetime, last_seen: datetime, *, ended: bool = True
) -> None:
    database.execute(
        "INSERT INTO stream_sessions (gateway, started_at, last_seen_at, ended_at)"
        " VALUES ('partner', %s, %s, %s)",
        [began, last_seen, last_seen if ended else None],
    )


def run(
    database: psycopg.Connection, began: datetime, state: str = "complete", **columns: object
) -> None:
    values = {
        "trigger": "periodic",
        "scope": "recent",
        "started_at": began,
        "finished_at": began + timedelta(seconds=2),
        "state": state,
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    database.execute(
        f"INSERT INTO reconciliation_runs ({names}) VALUES ({places})".encode(), values
    )


async def rows(programs: Programs) -> dict[str, str]:
    done = await programs.run("status")
    return dict(line.split("\t", 1) for line in done.out.splitlines())


async def test_a_store_that_never_reconciled_says_so(programs: Programs) -> None:
    shown = await rows(programs)

    assert shown["gaps"] == "none"
    assert shown["last reconciliation"] == "never"
    assert shown["drift"] == "none (0 runs in 24 hours); all seen never, in full never"
    assert "lag" not in shown


async def test_an_outage_shows_as_an_open_gap_until_it_is_over_and_repaired(
    programs: Programs, database: psycopg.Connection, ago: Ago
) -> None:
    session(database, ago(hours=30), ago(hours=6), ended=False)
    down = await rows(programs)
    session(database, ago(minutes=5), ago(hours=-1), ended=False)
    back = await rows(programs)
    run(database, ago(minutes=4), seen=120, stale=7, repaired=6, unresolved=1, reach="partner")
    repaired = await rows(programs)

    since = ago(hours=6)
    assert down["partner gateway"].startswith("no sign of life: last heard 6 hours ago, since ")
    assert down["gaps"] == (
        "1 unrepaired, 6 hours together, the oldest began 6 hours ago; "
        f"one is open since {since:%F %T} UTC"
    )
    assert back["gaps"] == (
        "1 unrepaired, 5 hours together, the oldest began 6 hours ago; "
        "`positionstore backfill` repairs them"
    )
    assert repaired["gaps"] == "none unrepaired, of 1"
    assert repaired["last reconciliation"] == (
        "run 1 (periodic, recent) began 4 minutes ago, complete: "
        "120 seen, 7 differed, 6 repaired, 1 not"
    )


async def test_drift_adds_up_the_runs_of_a_day(
    programs: Programs, database: psycopg.Connection, ago: Ago
) -> None:
    run(database, ago(days=3.5), scope="full", missing=1000, repaired=1000)
    run(database, ago(hours=3), missing=2, stale=1, repaired=3)
    run(database, ago(hours=2.5), stale=4, absent_upstream=1, repaired=4, unresolved=1)
    run(database, ago(minutes=10), "failed", error="No\x1b answer.")
    shown = await rows(programs)

    assert shown["drift"] == (
        "2 missing, 5 stale, 1 absent upstream; 7 repaired (3 runs in 24 hours, 1 of them "
        "incomplete); all seen 2 hours ago, in full 3 days ago"
    )
    assert shown["last reconciliation"] == (
        "run 4 (periodic, recent) began 10 minutes ago, failed: "
        r"0 seen, 0 differed, 0 repaired; No\x1b answer."
    )


async def test_a_program_reads_all_of_it(
    programs: Programs, database: psycopg.Connection, ago: Ago
) -> None:
    session(database, ago(hours=3), ago(hours=2))
    run(database, ago(hours=1), stale=4, repaired=4, seen=9)
    database.execute(
        "INSERT INTO events (event_id, position_id, type, status, created_at, received_at,"
        " source, envelope) SELECT 'evt_' || n, 'dm_pos_1', 'position.opened', 'open', at,"
        " at + n * interval '100 ms', 'partner', '{}' FROM (SELECT n, now() AS at"
        " FROM generate_series(1, 21) n) made"
    )
    told = (await programs.run("status", "--json")).json

    open_since = ago(hours=2).isoformat()
    unrepaired_seconds = told["coverage"].pop("unrepaired_seconds")
    assert 7200 <= unrepaired_seconds < 7500
    assert told["coverage"] == {
        "gaps": 1,
        "unrepaired": 1,
        "oldest_unrepaired_at": open_since,
        "open_since": open_since,
    }
    assert told["last_run"]["run_id"] == 1
    assert (told["drift"]["stale"], told["drift"]["last_full_at"]) == (4, None)
    assert told["lag"] == {"median": 1.1, "p95": 2.0}
