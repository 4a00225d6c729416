"""Snapshots: what REST said, against what the stream said."""

import json

import msgspec
import psycopg
import pytest
from support.factories import NOON, envelope, event, moment, received, snapshot

from positionstore.model.facts import Received, Snapshot
from positionstore.store.appender import Appended, Appender
from positionstore.store.projection import verify

ROW = """
    SELECT status, last_event_type, supersedes_before, source FROM positions
    WHERE position_id = 'dm_pos_1'
"""


def closed(at: float, event_id: str = "evt_closed") -> Received:
    return event(event_id, kind="position.closed", status="closed", at=at)


def test_a_snapshot_is_a_fact_of_the_log(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fact = snapshot(as_of=100, body={"side": "yes"})
    assert appender.append_snapshots([fact], moment(101)) == Appended(1, 1, 0, 0, 1, 1)
    row = connection.execute(
        "SELECT event_id, position_id, type, status, created_at, received_at, source,"
        " supersedes_before, envelope FROM events"
    ).fetchone()
    assert row is not None
    assert row[:-1] == (
        fact.event_id, "dm_pos_1", "snapshot", "open", moment(100), moment(101), "rest", moment(40),
    )  # fmt: skip
    assert row[-1]["data"] == {"id": "dm_pos_1", "status": "open", "side": "yes"}
    assert connection.execute("SELECT side, status FROM positions").fetchone() == ("yes", "open")


def test_the_same_snapshot_again_is_a_duplicate(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fact = snapshot(as_of=100)
    assert fact.event_id == snapshot(as_of=100).event_id
    assert fact.event_id != snapshot(as_of=100.000001).event_id
    assert fact.event_id != snapshot(as_of=100, body={"side": "no"}).event_id
    assert appender.append_snapshots([fact, fact], NOON).duplicates == 1
    again = appender.append_snapshots([fact], NOON)
    assert again == Appended(received=1, duplicates=1)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_snapshot_overrules_even_an_end(
    connection: psycopg.Connection, appender: Appender
) -> None:
    """A reorganisation of the chain undid a close."""
    appender.append([closed(at=0)])
    appender.append_snapshots([snapshot(as_of=61, status="open")], NOON)
    assert connection.execute(ROW).fetchone() == ("open", "snapshot", moment(1), "rest")


@pytest.mark.parametrize(("at", "status"), [(40, "open"), (40.000001, "closed")])
def test_the_settle_window_ends_to_the_microsecond(
    connection: psycopg.Connection, appender: Appender, at: float, status: str
) -> None:
    appender.append([closed(at=at)])
    appender.append_snapshots([snapshot(as_of=100, status="open")], NOON)
    row = connection.execute(ROW).fetchone()
    assert row is not None
    assert row[0] == status


@pytest.mark.parametrize("first", ["event", "snapshot"])
def test_a_snapshot_loses_to_a_later_event(
    connection: psycopg.Connection, appender: Appender, first: str
) -> None:
    steps = {
        "snapshot": lambda: appender.append_snapshots([snapshot(as_of=100)], NOON),
        "event": lambda: appender.append([event("evt_1", status="closing", at=100.5)]),
    }
    for step in (first, *(steps.keys() - {first})):
        steps[step]()
    assert connection.execute(ROW).fetchone() == (
        "closing", "position.opened", moment(40), "partner",
    )  # fmt: skip


def test_what_a_snapshot_overruled_stays_overruled_when_it_arrives_late(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append_snapshots([snapshot(as_of=100, status="open")], NOON)
    late = appender.append([closed(at=40), event("evt_o", at=39)])
    assert (late.appended, late.positions) == (2, 0)
    assert connection.execute("SELECT status FROM positions").fetchone() == ("open",)


def test_only_the_latest_as_of_counts(connection: psycopg.Connection, appender: Appender) -> None:
    newer = snapshot(as_of=300, status="open")
    older = snapshot(as_of=200, status="closed")  # terminal, and yet it does not count
    appender.append_snapshots([newer], NOON)
    appender.append_snapshots([older], NOON)
    assert connection.execute(ROW).fetchone() == ("open", "snapshot", moment(240), "rest")
    appender.append_snapshots([snapshot(as_of=400, status="settled")], NOON)
    appender.append_snapshots([snapshot(as_of=350, status="open")], NOON)
    assert connection.execute(ROW).fetchone() == ("settled", "snapshot", moment(340), "rest")


def test_an_older_snapshot_with_a_longer_window_changes_nothing(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([closed(at=150)])
    appender.append_snapshots([snapshot(as_of=200, settle_window=100)], NOON)
    appender.append_snapshots([snapshot(as_of=180, settle_window=0)], NOON)
    row = connection.execute(ROW).fetchone()
    assert row is not None
    assert (row[0], row[2]) == ("closed", moment(100))


def test_snapshots_of_many_positions_are_one_batch(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event(f"evt_{n}", position=f"dm_pos_{n}") for n in range(50)])
    facts: list[Snapshot] = [
        snapshot(position=f"dm_pos_{n}", status="closed", as_of=100) for n in range(25, 75)
    ]
    outcome = appender.append_snapshots([*facts, *facts], NOON)
    assert (outcome.received, outcome.appended, outcome.duplicates) == (100, 50, 50)
    assert outcome.positions == 50
    counts = connection.execute("SELECT status, count(*) FROM positions GROUP BY 1 ORDER BY 1")
    assert counts.fetchall() == [("closed", 50), ("open", 25)]


def test_a_snapshot_leaves_verified_at_to_the_reconciler(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1")])
    connection.execute("UPDATE positions SET verified_at = %s", [moment(7)])
    appender.append_snapshots([snapshot(as_of=100)], NOON)
    appender.append([event("evt_2", at=101)])
    assert connection.execute("SELECT verified_at FROM positions").fetchone() == (moment(7),)


def test_a_snapshot_without_its_window_is_refused(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append_snapshots([snapshot(as_of=100)], NOON)
    columns = "event_id, position_id, type, created_at, received_at, source, envelope"
    for source, value in (("rest", "NULL"), ("partner", "now()")):
        # Of a worker Citus tells the error's words and not always its class.
        with pytest.raises(psycopg.DatabaseError, match="snapshots_come_from_rest"):
            connection.execute(
                f"INSERT INTO events ({columns}, supersedes_before)"
                f" SELECT 'x', position_id, type, created_at, received_at, '{source}', envelope,"
                f" {value} FROM events"
            )


def test_what_a_snapshot_carries_fills_in_what_its_body_lacks_alone(
    connection: psycopg.Connection, appender: Appender
) -> None:
    body = {"side": None, "current": {"remaining_bps": 1}, "risk": 7, "entry": None}
    carried = {
        "side": "yes",
        "provider": "polymarket",
        "current": {"remaining_bps": 2, "position_token_units": "3"},
        "risk": {"health_bps": 4},
        "entry": {"leverage_bps": 5},
        "fees": {"lifetime_apr_bps": 6},
    }
    made = msgspec.structs.replace(snapshot(body=body), carried=json.dumps(carried).encode())
    assert made.event_id != snapshot(body=body).event_id
    appender.append_snapshots([made], moment(1))
    assert connection.execute(
        "SELECT side, provider, current_remaining_bps, current_position_token_units::int,"
        " risk_health_bps, entry_leverage_bps, fees_lifetime_apr_bps, misfit_fields FROM positions"
    ).fetchone() == (None, "polymarket", 1, 3, None, None, 6, ["risk"])
    assert verify(connection) == []


def test_an_event_carries_nothing(connection: psycopg.Connection, appender: Appender) -> None:
    raw = json.loads(envelope("evt_1")) | {"carried": {"side": "yes"}}
    appender.append([received(json.dumps(raw).encode())])
    assert connection.execute("SELECT side FROM positions").fetchone() == (None,)
