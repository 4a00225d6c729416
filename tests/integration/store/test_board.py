"""What the status page reads of one position."""

import psycopg
from support.factories import event, moment, snapshot

from positionstore.store import board
from positionstore.store.appender import Appender


def changes(connection: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    found = board.position(connection, "dm_pos_1")
    assert found is not None
    return {
        row["event_id"]: [(c["path"], c["before"], c["after"]) for c in row["changes"]]
        for row in found.timeline
    }


def test_each_fact_tells_the_values_that_it_changed(
    connection: psycopg.Connection, appender: Appender
) -> None:
    sold = {"side": "yes", "current": {"notional_usd_pips": 5, "token_units": "12"}}
    appender.append([event("e1", status="pending", at=1, body={"side": "yes"})])
    appender.append([event("e3", status="open", at=3, body=sold)])
    appender.append([event("e2", status="open", at=2, body={"side": None, "a.b": 1})])
    assert changes(connection) == {
        "e1": [],
        "e2": [("a.b", None, None), ("side", "yes", None), ("status", "pending", "open")],
        "e3": [
            ("a.b", None, None),
            ("current.notional_usd_pips", None, "5"),
            ("current.token_units", None, "12"),
            ("side", None, "yes"),
        ],
    }


def test_a_snapshot_is_compared_with_what_it_overrules(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", status="open", at=1, body={"side": "yes"})])
    appender.append_snapshots(
        [snapshot(status="open", as_of=100, body={"side": "no"})], moment(101)
    )
    appender.append([event("e2", status="closed", at=200, body={"side": "no"})])
    told = changes(connection)
    assert told["e2"] == [("status", "open", "closed")]
    assert [rows for event_id, rows in told.items() if event_id.startswith("snp_")] == [
        [("side", "yes", "no")]
    ]
