"""``positionstore status``: gaps, the last reconciliation, drift and lag at a glance."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from support.programs import Programs

DASHBOARD = Path(__file__).resolve().parents[3] / "docs" / "grafana-dashboard.json"
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
    assert down["gateways"] == "not connected; last heard 6 hours ago"
    assert "no sign of life" not in back["partner gateway"]
    assert "gateways" not in back
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


def differed(
    database: psycopg.Connection, run_id: int, position_id: str, kind: str, resolution: str
) -> None:
    database.execute(
        "INSERT INTO discrepancies (run_id, position_id, kind, field, resolution, noticed_at)"
        " SELECT %s, %s, %s, field, %s, now() FROM unnest(ARRAY['status', 'closed_at']) field",
        [run_id, position_id, kind, resolution],
    )


async def test_drift_counts_a_position_once_however_many_runs_of_a_day_it_differed_in(
    programs: Programs, database: psycopg.Connection, ago: Ago
) -> None:
    run(database, ago(days=3.5), scope="full", missing=1000, repaired=1000)
    differed(database, 1, "dm_pos_old", "missing", "repaired")
    for number in range(2, 12):
        run(database, ago(hours=4 - number * 0.1), stale=1, absent_upstream=1, unresolved=2)
        differed(database, number, "dm_pos_stuck", "stale", "unresolved")
        differed(database, number, "dm_pos_gone", "absent_upstream", "unresolved")
    run(database, ago(hours=2.5), stale=2, repaired=1, unresolved=1)
    differed(database, 12, "dm_pos_1", "stale", "repaired")
    run(database, ago(minutes=10), "failed", error="No\x1b answer.")
    shown = await rows(programs)

    assert shown["drift"] == (
        "2 stale, 1 absent upstream; 1 repaired; 2 still different (12 runs in 24 hours, 1 of them "
        "incomplete); all seen 2 hours ago, in full 3 days ago"
    )
    assert shown["last reconciliation"] == (
        "run 13 (periodic, recent) began 10 minutes ago, failed: "
        r"0 seen, 0 differed, 0 repaired; No\x1b answer."
    )


def received(
    database: psycopg.Connection, name: str, source: str, at: datetime, facts: int = 1
) -> None:
    database.execute(
        "INSERT INTO events (event_id, position_id, type, status, created_at, received_at,"
        " source, supersedes_before, envelope)"
        " SELECT %(name)s || n, 'dm_pos_' || n, 'position.opened', 'open', %(at)s, %(at)s,"
        " %(source)s, CASE %(source)s WHEN 'rest' THEN %(at)s::timestamptz END, '{}'"
        " FROM generate_series(1, %(facts)s) n",
        {"name": name, "source": source, "at": at, "facts": facts},
    )


async def test_imports_and_snapshots_are_no_sign_of_life(
    programs: Programs, database: psycopg.Connection, ago: Ago
) -> None:
    received(database, "imp_0_", "import", ago(hours=9))
    before = await rows(programs)
    received(database, "evt_", "partner", ago(hours=6))
    received(database, "evt_c_", "customer", ago(hours=5.5))
    received(database, "imp_", "import", ago(seconds=2), 1500)
    received(database, "snp_", "rest", ago(seconds=1))
    shown = await rows(programs)
    query = next(
        target["rawSql"]
        for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
        if panel["title"] == "Last event"
        for target in panel["targets"]
    )

    assert before["last event"] == "received never, emitted never"
    assert "lag" not in before
    assert shown["last event"] == "received 5 hours ago, emitted 5 hours ago"
    assert shown["lag"] == "median 0 ms, 95 % within 0 ms"
    row = database.execute(query).fetchone()
    assert row is not None
    assert row[0] >= 5.5 * 3600


def test_the_dashboard_counts_no_gap_that_the_gateway_has_replayed(
    database: psycopg.Connection, ago: Ago
) -> None:
    for began, last_seen in ((9, 8), (7, 6), (5, 4)):
        session(database, ago(hours=began), ago(hours=last_seen))
    database.execute(
        "UPDATE stream_sessions SET recovered_from = %s, recovered_until = %s"
        " WHERE started_at = %s",
        [ago(hours=8), ago(hours=7), ago(hours=7)],
    )
    session(database, ago(hours=3), ago(hours=-1), ended=False)
    (query,) = (
        target["rawSql"]
        for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
        if panel["title"] == "Unrepaired gaps"
        for target in panel["targets"]
    )

    row = database.execute(query).fetchone()

    assert row == (2,)


async def test_a_program_reads_all_of_it(
    programs: Programs, database: psycopg.Connection, ago: Ago
) -> None:
    session(database, ago(hours=3), ago(hours=2))
    run(database, ago(hours=1), stale=1, repaired=1, seen=9)
    differed(database, 1, "dm_pos_1", "stale", "repaired")
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
        "recovered": 0,
        "oldest_unrepaired_at": open_since,
        "open_since": open_since,
    }
    assert told["last_run"]["run_id"] == 1
    assert (told["drift"]["stale"], told["drift"]["last_full_at"]) == (1, None)
    assert told["lag"] == {"median": 1.1, "p95": 2.0}


@pytest.mark.parametrize(("received", "quarantined"), [(10, 10), (9, 9), (1_000, 999)])
async def test_a_session_of_which_nothing_is_understood_is_an_error(
    programs: Programs, database: psycopg.Connection, ago: Ago, received: int, quarantined: int
) -> None:
    session(database, ago(hours=1), ago(hours=-1), ended=False)
    database.execute(
        "UPDATE stream_sessions SET received = %s, quarantined = %s", [received, quarantined]
    )

    shown = await rows(programs)

    assert ("error" in shown) is (received == 10)
    if received == 10:
        assert shown["error"].startswith("each of the 10 inputs of this session is in quarantine")
