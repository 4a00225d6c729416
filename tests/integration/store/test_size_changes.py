"""The views of what changed a position's size, and of what the vendor tells the customer."""

import json
from collections.abc import Mapping
from decimal import Decimal

import psycopg
import pytest
from support.factories import event, moment, received, snapshot, wire_time

from positionstore.model.facts import Retraction
from positionstore.store import sub_resources
from positionstore.store.appender import Appender

ENTRY = {
    "position_token_units": "100000000",
    "notional_usd_pips": "500000",
    "leverage_bps": 25_000,
    "opened_at": wire_time(9),
    "effective_entry_price_usd_pips": "5000",
}


def body(units: int | None = None, notional: int = 0, leverage: int = 0) -> dict[str, object]:
    if units is None:
        return {"entry": ENTRY}
    current = {
        "position_token_units": str(units),
        "notional_usd_pips": str(notional),
        "book_leverage_bps": leverage,
        "mark_price_usd_pips": "5250",
    }
    return {"entry": ENTRY, "current": current}


def a_life(appender: Appender) -> None:
    appender.append([event("e1", kind="position.created", status="pending", body=body(0))])
    opened = body(100_000_000, 500_000, 25_000)
    unwound = body(80_000_000, 400_000, 20_000)
    # Late: the partial close came before what it follows.
    appender.append(
        [event("e4", kind="position.partial_closed", at=30, body=body(40_000_000, 200_000, 20_000))]
    )
    appender.append([event("e2", at=10, body=opened), event("e2", at=10, body=opened)])
    appender.append([event("e3", kind="position.force_unwound", at=20, body=unwound)])
    appender.append([event("e5", kind="position.closed", status="closed", at=90, body=body())])


def test_each_fill_unwind_and_partial_close_is_a_row(
    connection: psycopg.Connection, appender: Appender
) -> None:
    a_life(appender)
    assert connection.execute(
        "SELECT kind, changed_at, changed_from, before_token_units, changed_token_units,"
        " before_notional_usd, after_notional_usd, before_leverage_bps, after_leverage_bps,"
        " price_usd, mark_price_usd, event_id, type"
        " FROM position_size_changes ORDER BY place"
    ).fetchall() == [
        (
            *("fill", moment(9), "body", 0, 100_000_000, 0, 50, None, 25_000),
            *(Decimal("0.5000"), Decimal("0.5250"), "e2", "position.opened"),
        ),
        (
            *("unwind", moment(20), "event", 100_000_000, -20_000_000, 50, 40, 25_000, 20_000),
            *(None, Decimal("0.5250"), "e3", "position.force_unwound"),
        ),
        (
            *("partial_close", moment(30), "event", 80_000_000, -40_000_000, 40, 20),
            *(20_000, 20_000, None, Decimal("0.5250"), "e4", "position.partial_closed"),
        ),
    ]


def test_a_snapshot_tells_what_no_event_did(
    connection: psycopg.Connection, appender: Appender
) -> None:
    smaller = snapshot(as_of=500, body=body(60_000_000, 300_000, 25_000))
    appender.append_snapshots([smaller], moment(500))
    assert connection.execute(
        "SELECT kind, changed_at, changed_from, after_token_units, type FROM position_size_changes"
        " ORDER BY place"
    ).fetchall() == [
        ("fill", moment(9), "body", 100_000_000, "snapshot"),
        ("reduction", moment(500), "snapshot", 60_000_000, "snapshot"),
    ]


def keep(connection: psycopg.Connection, resource: str, data: list[object]) -> None:
    sub_resources.keep(
        connection,
        sub_resources.Due("dm_pos_1", resource, None, is_final=False, token_units=None),
        moment(200),
        body=json.dumps({"data": data, "has_more": False}),
    )


def test_the_vendors_lists_tell_why_and_at_which_price(
    connection: psycopg.Connection, appender: Appender
) -> None:
    a_life(appender)
    sale = {
        "executed_at": wire_time(29),
        "sold_token_units": "40000000",
        "remaining_position_token_units": "40000000",
        "average_sale_price_usd": "0.52345",
        "user_payout_usd": "12.3400",
    }
    another = {**sale, "sold_token_units": "39999999"}
    keep(connection, "partial_closes", [another, sale, {**sale, "average_sale_price_usd": "1e3"}])
    unwind = {"before_leverage_bps": 25_000, "after_leverage_bps": 20_000}
    near = {**unwind, "executed_at": wire_time(19), "reason": "depth_decay"}
    keep(connection, "unwinds", [{**near, "executed_at": wire_time(60), "reason": "no"}, near])
    assert connection.execute(
        "SELECT kind, changed_at, changed_from, reason, average_sale_price_usd, user_payout_usd,"
        " price_usd_pips, realized_pnl_usd_pips, realized_pnl_usd"
        " FROM position_size_changes WHERE kind <> 'fill' ORDER BY place"
    ).fetchall() == [
        ("unwind", moment(19), "sub_resource", "depth_decay", *[None] * 5),
        (
            *(
                "partial_close",
                moment(29),
                "sub_resource",
                None,
                Decimal("0.52345"),
                Decimal("12.34"),
            ),
            *(None, 9_380, Decimal("0.9380")),
        ),
    ]


def test_a_partial_close_that_no_event_told_is_known_by_its_size(
    connection: psycopg.Connection, appender: Appender
) -> None:
    smaller = snapshot(as_of=500, body=body(60_000_000, 300_000, 25_000))
    appender.append_snapshots([smaller], moment(500))
    sale = {
        "executed_at": wire_time(300),
        "sold_token_units": 40_000_000,
        "remaining_position_token_units": 60_000_000,
        "average_sale_price_usd": 0.45,
        "user_payout_usd": 3,
    }
    keep(connection, "partial_closes", [sale])
    assert connection.execute(
        "SELECT kind, changed_at, price_usd_pips, realized_pnl_usd, type FROM position_size_changes"
        " WHERE kind <> 'fill'"
    ).fetchall() == [("partial_close", moment(300), 4_500, Decimal("-2.0000"), "snapshot")]


def test_units_beyond_what_tools_read_are_null(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", body=body(10**37)), event("e2", at=9, body=body(10**40))])
    assert connection.execute(
        "SELECT event_id, after_token_units FROM position_size_changes"
    ).fetchall() == [("e1", 10**37)]


@pytest.mark.parametrize("view", ["position_size_changes", "position_notifications"])
def test_one_position_is_found_by_the_logs_key(
    connection: psycopg.Connection, appender: Appender, view: str
) -> None:
    appender.append(
        [event(f"e{n}", position=f"dm_pos_{n}", body=body(n, n, n)) for n in range(3_000)]
    )
    connection.execute("ANALYZE events; ANALYZE positions")
    plan = connection.execute(
        f"EXPLAIN SELECT * FROM {view} WHERE position_id = 'dm_pos_77'"
    ).fetchall()
    assert "Seq Scan on events" not in str(plan)
    everything = connection.execute(f"EXPLAIN SELECT * FROM {view}").fetchall()
    assert str(everything).count("Seq Scan on events") == 1


PROGRESS: Mapping[str, object] = {
    "code": "PARTIAL_OPEN_PROGRESS",
    "message": "60 % of your order is filled.",
    "params": {
        "position_id": "dm_pos_1",
        "filled_bps": 6_000,
        "attempt_number": 2,
        "cumulative_filled_making_amount": "123456789012345678901234567890",
        "target_making_amount": "205761315020576131502057613150",
    },
}


def notification(event_id: str, data: Mapping[str, object]) -> bytes:
    kind, at = "notification.created", wire_time(5)
    return json.dumps({"id": event_id, "type": kind, "created_at": at, "data": data}).encode()


def test_a_notification_is_shown_with_its_parameters(
    connection: psycopg.Connection, appender: Appender
) -> None:
    others = [
        {"code": code, "message": "...", "params": {"position_id": "dm_pos_1"}}
        for code in (
            "PARTIAL_OPEN_FLOOR_MISSED",
            "ORDER_FULFILLMENT_FAILED",
            "ORDER_FULFILLMENT_RETRYING",
        )
    ]
    elsewhere = {"code": "MAINTENANCE", "params": {}}
    told: list[Mapping[str, object]] = [PROGRESS, *others, elsewhere]
    appender.append([received(notification(f"n{n}", data)) for n, data in enumerate(told)])
    appender.append([event("e1")])
    found = connection.execute(
        "SELECT code, position_id, message, filled_bps, attempt_number,"
        " cumulative_filled_making_amount, target_making_amount, params, created_at, event_id"
        " FROM position_notifications ORDER BY seq"
    ).fetchall()
    assert found[0] == (
        "PARTIAL_OPEN_PROGRESS",
        "dm_pos_1",
        "60 % of your order is filled.",
        6_000,
        2,
        123456789012345678901234567890,
        205761315020576131502057613150,
        PROGRESS["params"],
        moment(5),
        "n0",
    )
    assert [row[:2] for row in found[1:]] == [
        ("PARTIAL_OPEN_FLOOR_MISSED", "dm_pos_1"),
        ("ORDER_FULFILLMENT_FAILED", "dm_pos_1"),
        ("ORDER_FULFILLMENT_RETRYING", "dm_pos_1"),
        ("MAINTENANCE", ""),
    ]
    assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


def test_a_retracted_notification_is_left_out(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([received(notification("n1", PROGRESS))])
    retraction = Retraction("dm_pos_1", "n1", "Sent in error.", moment(9))
    appender.append_retractions([retraction], moment(9))
    assert connection.execute("SELECT * FROM position_notifications").fetchall() == []
