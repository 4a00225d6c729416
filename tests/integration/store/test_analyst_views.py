"""The views for analysts: exact dollars, the life of a position, a day's activity."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from support.factories import event, moment, snapshot, wire_time

from positionstore.store.appender import Appender

LARGEST = 2**63 - 1


def one(connection: psycopg.Connection, query: str, *parameters: object) -> tuple[object, ...]:
    rows = connection.execute(query, parameters).fetchall()
    assert len(rows) == 1
    return tuple(rows[0])


def body(**sections: object) -> dict[str, object]:
    return {"market_ticker": "RAIN", "side": "yes", "wallet_address": "0xabc", **sections}


def opened_and_closed(appender: Appender) -> None:
    entry = {"notional_usd_pips": 1_000_001, "opened_at": wire_time(10)}
    result = {
        "closed_at": wire_time(100),
        "realized_pnl_usd_pips": -12_345,
        "net_realized_pnl_usd_pips": -22_345,
    }
    opened = body(entry=entry, current={"mark_price_usd_pips": 5_000})
    closed = body(entry=entry, result=result, fees={"total_fees_usd_pips": 10_000})
    appender.append([event("e1", kind="position.created", status="pending", at=0, body=body())])
    appender.append([event("e2", kind="position.opening", status="pending", at=8, body=body())])
    appender.append([event("e5", kind="position.closed", status="closed", at=101, body=closed)])
    appender.append([event("e3", kind="position.opened", status="open", at=12, body=opened)])
    appender.append(
        [event("e4", kind="position.close_requested", status="closing", at=90, body=opened)]
    )


@pytest.mark.parametrize("pips", [0, 1, -1, 10_000, 123_456, LARGEST, -LARGEST - 1])
def test_dollars_are_exact(connection: psycopg.Connection, appender: Appender, pips: int) -> None:
    appender.append([event("e1", body={"entry": {"notional_usd_pips": pips}})])
    found = one(
        connection, "SELECT entry_notional_usd_pips, entry_notional_usd FROM open_positions"
    )
    assert found == (pips, Decimal(pips).scaleb(-4))
    assert str(found[1])[-5] == "."


def test_leverage_is_a_ratio_beside_basis_points(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", body={"entry": {"leverage_bps": 25_000}})])
    assert one(connection, "SELECT entry_leverage_bps, entry_leverage FROM open_positions") == (
        25_000,
        Decimal("2.5000"),
    )


def test_each_position_stands_in_the_view_of_its_phase(
    connection: psycopg.Connection, appender: Appender
) -> None:
    statuses = connection.execute("SELECT status, phase FROM position_statuses").fetchall()
    appender.append([event(f"e{status}", position=status, status=status) for status, _ in statuses])
    appender.append([event("e", position="unheard", status="unheard")])
    phases = {**dict(statuses), "unheard": "live"}
    for view, phase in (("open_positions", "live"), ("closed_positions", "terminal")):
        found = connection.execute(f"SELECT position_id FROM {view}").fetchall()
        assert {row[0] for row in found} == {key for key in phases if phases[key] == phase}


def test_the_newer_of_valuation_and_fact_is_shown_with_its_age(
    connection: psycopg.Connection, appender: Appender
) -> None:
    now = datetime.now(UTC)
    at = (now - timedelta(minutes=10) - moment(0)).total_seconds()
    appender.append([event("e1", at=at, body={"current": {"mark_price_usd_pips": 5_000}})])
    query = (
        "SELECT valuation_mark_price_usd_pips, valuation_mark_price_usd, valuation_at,"
        " valuation_age FROM open_positions"
    )
    for minutes, price in ((60, 5_000), (5, 7_000)):
        connection.execute(
            "INSERT INTO valuations (position_id, as_of, mark_price_usd_pips) VALUES (%s, %s, %s)"
            " ON CONFLICT (position_id) DO UPDATE SET as_of = excluded.as_of",
            ["dm_pos_1", now - timedelta(minutes=minutes), 7_000],
        )
        pips, dollars, valued_at, age = one(connection, query)
        assert (pips, dollars) == (price, Decimal(price).scaleb(-4))
        assert valued_at == now - timedelta(minutes=min(minutes, 10))
        assert isinstance(age, timedelta)
        assert timedelta(0) <= age - timedelta(minutes=min(minutes, 10)) < timedelta(minutes=5)


def test_what_nobody_has_valued_has_no_moment_of_a_valuation(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", body={"entry": {"leverage_bps": 25_000}})])
    query = "SELECT valuation_at, valuation_age, valuation_mark_price_usd FROM open_positions"
    assert one(connection, query) == (None, None, None)
    connection.execute(
        "INSERT INTO valuations (position_id, as_of, mark_price_usd_pips)"
        " VALUES ('dm_pos_1', %s, 7000)",
        [moment(-60)],
    )
    valued_at, _, price = one(connection, query)
    assert (valued_at, price) == (moment(-60), Decimal("0.7000"))


def test_the_timeline_tells_what_each_fact_changed_and_what_came_late(
    connection: psycopg.Connection, appender: Appender
) -> None:
    opened_and_closed(appender)
    rows = connection.execute(
        "SELECT event_id, delay, out_of_order, overruled, won, changed FROM position_timeline"
        " WHERE position_id = 'dm_pos_1' ORDER BY place"
    ).fetchall()
    entered = ["current.mark_price_usd_pips", "entry.notional_usd_pips", "entry.opened_at"]
    ended = [
        "current.mark_price_usd_pips",
        "fees.total_fees_usd_pips",
        "result.closed_at",
        "result.net_realized_pnl_usd_pips",
        "result.realized_pnl_usd_pips",
        "status",
    ]
    assert rows == [
        ("e1", timedelta(seconds=100), False, False, False, None),
        ("e2", timedelta(seconds=92), False, False, False, []),
        ("e3", timedelta(seconds=88), True, False, False, [*entered, "status"]),
        ("e4", timedelta(seconds=10), True, False, False, ["status"]),
        ("e5", timedelta(seconds=-1), False, False, True, ended),
    ]


def test_the_timeline_shows_what_a_snapshot_overruled(
    connection: psycopg.Connection, appender: Appender
) -> None:
    opened_and_closed(appender)
    appender.append_snapshots([snapshot(as_of=300)], moment(301))
    appender.append_snapshots([snapshot(as_of=200, status="closing")], moment(302))
    rows = connection.execute(
        "SELECT type, overruled, won, out_of_order FROM position_timeline"
        " WHERE position_id = 'dm_pos_1' ORDER BY place"
    ).fetchall()
    assert [row[1:3] for row in rows] == [(True, False)] * 6 + [(False, True)]
    assert rows[-1][0] == "snapshot"
    assert [row[0] for row in rows[:6] if row[3]] == [
        "position.opened",
        "position.close_requested",
        "snapshot",
    ]


def test_changed_fields_compares_what_the_catalogue_does_not_know(
    connection: psycopg.Connection,
) -> None:
    for before, after, wanted in (
        ('{"a": 1, "b": {"c": [1]}}', '{"a": 1.0, "b": {"c": [1, 2]}}', ["b.c"]),
        ('{"b": {"c": 1, "d": 2}}', "{}", ["b.c", "b.d"]),
        ('{"b": {}}', "{}", ["b"]),
        ('{"b": {"c": 1}}', '{"b": 7}', ["b"]),
        ('{"a": null}', "{}", ["a"]),
        ('"x"', "{}", [""]),
        (None, "{}", None),
    ):
        assert one(connection, "SELECT changed_fields(%s, %s)", before, after) == (wanted,)


def test_a_lifecycle_by_events(connection: psycopg.Connection, appender: Appender) -> None:
    opened_and_closed(appender)
    moments = one(
        connection,
        "SELECT created_at, opening_at, opened_at, close_requested_at, ended_at"
        " FROM position_lifecycle",
    )
    assert moments == tuple(moment(at) for at in (0, 8, 10, 90, 100))
    assert one(
        connection,
        "SELECT created_from, opening_from, opened_from, close_requested_from, ended_from,"
        " opening_to_opened, opened_to_ended, opened_event_at, ended_event_at"
        " FROM position_lifecycle",
    ) == (
        *("event", "event", "body", "event", "body", timedelta(seconds=2), timedelta(seconds=90)),
        *(moment(12), moment(101)),
    )


def test_a_lifecycle_that_only_a_snapshot_tells(
    connection: psycopg.Connection, appender: Appender
) -> None:
    sections = {
        "entry": {"opened_at": wire_time(10)},
        "result": {"closed_at": wire_time(100)},
    }
    appender.append_snapshots([snapshot(as_of=300, status="settled", body=sections)], moment(301))
    query = (
        "SELECT created_at, created_from, opening_at, opening_from, opened_at, opened_from,"
        " ended_at, ended_from FROM position_lifecycle"
    )
    assert one(connection, query) == (
        *(moment(300), "snapshot", None, None),
        *(moment(10), "body", moment(100), "body"),
    )


def test_an_end_that_a_snapshot_undid_is_no_end(
    connection: psycopg.Connection, appender: Appender
) -> None:
    opened_and_closed(appender)
    appender.append_snapshots([snapshot(as_of=300)], moment(301))
    query = "SELECT opened_at, opened_from, ended_at, ended_from FROM position_lifecycle"
    assert one(connection, query) == (moment(12), "event", None, None)


def test_a_day_s_activity(connection: psycopg.Connection, appender: Appender) -> None:
    opened_and_closed(appender)
    assert one(
        connection,
        "SELECT day, market_ticker, side, opened, closed, liquidated, volume_usd, fees_usd,"
        " realized_pnl_usd, net_realized_pnl_usd FROM daily_activity",
    ) == (
        *(date(2026, 7, 1), "RAIN", "yes", 1, 1, 0),
        *map(Decimal, ("100.0001", "1.0000", "-1.2345", "-2.2345")),
    )


def test_a_day_is_a_day_in_utc(connection: psycopg.Connection, appender: Appender) -> None:
    opened_and_closed(appender)
    connection.execute("SET timezone = 'Pacific/Kiritimati'")
    assert one(connection, "SELECT day FROM daily_activity") == (date(2026, 7, 1),)


def test_a_look_for_one_position_reads_the_facts_of_that_one(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append(
        [
            event(f"e{place}{kind}", position=f"dm_pos_{place}", at=kind)
            for place in range(2_000)
            for kind in range(3)
        ]
    )
    connection.execute("ANALYZE")
    for view in ("position_timeline", "position_lifecycle"):
        plan = "\n".join(
            line
            for (line,) in connection.execute(
                f"EXPLAIN SELECT * FROM {view} WHERE position_id = 'dm_pos_77'"
            )
        )
        assert "Seq Scan on events" not in plan, plan
        assert "Seq Scan on positions" not in plan, plan
        assert "Index Cond: (position_id = 'dm_pos_77'::text)" in plan, plan


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM positions_as_of('2026-07-01 13:00Z', of_position => 'dm_pos_77')",
        "SELECT * FROM positions_as_of('2026-07-01 13:00Z', of_wallet => '0x77')",
        "SELECT * FROM position_lifecycle WHERE wallet_address = '0x77'",
        "SELECT * FROM position_timeline WHERE position_id = 'dm_pos_77'",
        "SELECT * FROM events_after(500, 10)",
        "SELECT * FROM book_changes('2026-07-01 12:00:00Z', '2026-07-01 12:01:00Z')",
    ],
)
def test_what_asks_for_a_little_reads_no_whole_log(
    connection: psycopg.Connection, appender: Appender, query: str
) -> None:
    appender.append(
        [
            event(
                f"e{place}{kind}",
                position=f"dm_pos_{place}",
                at=kind,
                body={"wallet_address": f"0x{place}", "padding": str(place) * 200},
            )
            for place in range(2_000)
            for kind in range(3)
        ]
    )
    connection.execute("VACUUM ANALYZE events, positions")
    scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'events'"
    with connection.transaction():
        before = one(connection, scans)
        connection.execute(query)
        assert one(connection, scans) == before
