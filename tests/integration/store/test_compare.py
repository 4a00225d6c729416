"""What the store says of a body: in what it differs, how, and what would become of a snapshot."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from support.factories import event, moment, snapshot

from positionstore.model.fields import VALUATION_FIELDS
from positionstore.reconcile.store_side import StoreSide
from positionstore.store import runs as records
from positionstore.store.appender import Appender
from positionstore.store.runs import Compared, FieldDifference

WINDOW = timedelta(seconds=60)
MOVES: dict[str, dict[str, Any]] = {
    "status": {"status": "closing"},
    "entry.opened_at": {"entry": {"opened_at": "2026-07-01T12:00:00Z"}},
    "result.closed_at": {"result": {"closed_at": "2026-07-01T12:00:00.5Z"}},
    "current.remaining_bps": {"current": {"remaining_bps": 5_000}},
    "current.position_token_units": {"current": {"position_token_units": "1"}},
    "timing.settlement_state": {"timing": {"settlement_state": "settling"}},
}


def compared(
    connection: psycopg.Connection, *, as_of: float = 1_000, status: str = "open", **body: object
) -> Compared:
    shown = snapshot(as_of=as_of, status=status, body=body)
    (found,) = records.compare(connection, [shown], WINDOW)
    return found


def test_what_the_store_does_not_know_is_missing(connection: psycopg.Connection) -> None:
    found = compared(connection, side="yes")
    assert (found.kind, found.fields, found.last_event_id) == ("missing", (), None)
    assert (found.rival, found.carried, found.newest_event_at) == (None, None, None)


@pytest.mark.parametrize("name", MOVES)
def test_what_happens_to_a_position_makes_its_row_stale(
    connection: psycopg.Connection, appender: Appender, name: str
) -> None:
    appender.append([event("evt_1", body={"side": "yes"})])
    found = compared(connection, **{"side": "no", **MOVES[name]})
    assert (found.kind, {each.field for each in found.fields}) == ("stale", {"side", name})


def test_other_values_at_the_same_moment_make_it_divergent(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", body={"entry": {"price_usd_pips": "1"}})])
    found = compared(connection, entry={"price_usd_pips": "2"})
    assert found.kind == "divergent"
    assert found.fields == (FieldDifference("entry.price_usd_pips", "1", "2"),)


def test_values_are_told_as_text(connection: psycopg.Connection, appender: Appender) -> None:
    long = "1" + "0" * 30
    body = {
        "opened_at": "2026-07-01T12:00:00.000005Z",
        "position_token_units": long,
        "leverage_bps": -7,
    }
    appender.append([event("evt_1", body={"entry": body, "side": '\N{SNOWMAN} "1"'})])
    found = compared(
        connection,
        entry={**dict.fromkeys(body), "opened_at": "2026-07-01T14:00:00+02:00"},
        side=None,
    )
    assert {each.field: each[1:] for each in found.fields} == {
        "entry.opened_at": ("2026-07-01T12:00:00.000005+00:00", "2026-07-01T12:00:00+00:00"),
        "entry.position_token_units": (long, None),
        "entry.leverage_bps": ("-7", None),
        "side": ('\N{SNOWMAN} "1"', None),
    }


def test_fees_count_only_once_they_are_final(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fees = {"fees": {"total_fees_usd_pips": "1"}, "effective_leverage_bps": 1}
    others: dict[str, Any] = {"fees": {"total_fees_usd_pips": "2"}, "effective_leverage_bps": 2}
    appender.append([event("evt_1", body=fees)])
    assert compared(connection, **others).kind is None
    appender.append([event("evt_2", kind="position.closed", status="closed", at=1, body=fees)])
    found = compared(connection, status="closed", **others)
    assert {each.field for each in found.fields} == {
        "fees.total_fees_usd_pips",
        "effective_leverage_bps",
    }
    assert found.has_ended


def test_it_says_what_a_snapshot_has_to_carry(
    connection: psycopg.Connection, appender: Appender
) -> None:
    body = {
        "market_title": "T",
        "side": "yes",
        "entry": {"price_usd_pips": "1", "leverage_bps": 2},
        "risk": {"health_bps": 3},
        "timing": {"is_voided": False},
    }
    appender.append([event("evt_1", body=body)])
    found = compared(connection, side="no", entry={"price_usd_pips": "1"}, risk=None)
    assert [each.field for each in found.fields] == ["side"]
    assert found.carried == (
        '{"entry": {"leverage_bps": 2}, "timing": {"is_voided": false}, "market_title": "T"}'
    )
    # Of an ended position the shape has neither.
    found = compared(connection, side="no", status="closed")
    assert found.carried == (
        '{"entry": {"leverage_bps": 2, "price_usd_pips": "1"}, "market_title": "T"}'
    )
    assert found.valuation == (None,) * len(VALUATION_FIELDS)


def test_it_says_which_fact_would_beat_a_snapshot(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=900), event("evt_2", status="closed", at=950)])
    found = compared(connection, as_of=1_000)
    assert found.rival == ("evt_2", moment(950), "position.opened")
    assert found.newest_event_at == moment(950)
    assert compared(connection, as_of=1_011).rival is None
    appender.append_snapshots([snapshot(as_of=2_000, status="settled")], moment(2_000))
    found = compared(connection, as_of=1_500)
    assert found.rival is not None
    assert (found.rival.type, found.newest_event_at) == ("snapshot", moment(950))
    assert compared(connection, as_of=1_500, status="settled").rival is None, "nothing differs"


@pytest.mark.parametrize(("as_of", "was_shown"), [(1_000, True), (1_061, False)])
def test_it_says_whether_an_earlier_fact_has_shown_the_same(
    connection: psycopg.Connection, appender: Appender, as_of: float, was_shown: bool
) -> None:
    appender.append([event("evt_1", body={"side": "yes"}, at=900)])
    appender.append([event("evt_2", body={"side": "no"}, at=1_000)])
    assert compared(connection, as_of=as_of, side="yes").was_shown is was_shown
    assert not compared(connection, as_of=as_of, side="maybe").was_shown


def test_a_server_that_takes_no_writes_compares_too(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", body={"side": "yes"})])
    connection.execute("SET default_transaction_read_only = on")
    assert compared(connection, side="yes").kind is None
    assert compared(connection, side="no").kind == "divergent"
    assert records.absent(connection, ["dm_pos_1"]) == [("dm_pos_1", moment(0))]


def test_the_first_plan_looks_up_by_key_whatever_the_store_holds(
    connection: psycopg.Connection,
) -> None:
    """One plan serves all pages; of an empty table the server would else read all of it."""
    StoreSide(connection, connection, settle_window=WINDOW, dry_run=True)
    compared(connection, side="yes")
    (statement,) = connection.execute(
        "SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%fact_positions%'"
    ).fetchone() or ("",)
    nulls = ", ".join(["NULL"] * 7)
    connection.execute(f"PREPARE compare AS {statement}".encode())
    plan = connection.execute(f"EXPLAIN EXECUTE compare ({nulls})".encode()).fetchall()
    assert not [line for (line,) in plan if "Seq Scan" in line]
