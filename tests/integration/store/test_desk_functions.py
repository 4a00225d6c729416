"""The functions over the book: what is open at a moment, and the numbers of each day."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from support.factories import event, moment, snapshot, wire_time

from positionstore.model.facts import Received, Retraction
from positionstore.store.appender import Appender

HOUR, DAY = 3600, 86400
"""In seconds; moments count from noon of 1 July 2026."""

FIRST, SECOND, THIRD = (date(2026, 7, day) for day in (1, 2, 3))


def entry(opened: float | None = 0, **more: object) -> dict[str, object]:
    told = None if opened is None else wire_time(opened)
    return {"collateral_usd_pips": 1_000, "notional_usd_pips": 4_000, "opened_at": told, **more}


def opened(
    name: str = "p", at: float = 0, *, fees: int = 0, current: object = None, **more: object
) -> Received:
    told = {"notional_usd_pips": 4_000, "net_unrealized_pnl_usd_pips": 7}
    return event(
        f"{name}-open",
        position=name,
        at=at,
        body={
            "market_ticker": "RAIN",
            "side": "yes",
            "entry": entry(at, **more),
            "current": told if current is None else current,
            "fees": {"total_fees_usd_pips": fees},
        },
    )


def ended(
    name: str = "p",
    at: float = HOUR,
    *,
    began: float | None = 0,
    status: str = "closed",
    result: Mapping[str, object] | None = None,
    fees: Mapping[str, object] | None = None,
    **more: object,
) -> Received:
    return event(
        f"{name}-end",
        position=name,
        kind=f"position.{status}",
        status=status,
        at=at,
        body={
            "market_ticker": "RAIN",
            "side": "yes",
            "entry": entry(began, **more),
            "result": {"closed_at": wire_time(at), **(result or {})},
            "fees": fees or {},
        },
    )


def rows(connection: psycopg.Connection, query: str, *values: object) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(query.encode(), values)]


def read(connection: psycopg.Connection, at: float, name: str = "p", **columns: object) -> None:
    """Keep a reading, as a run does with the history switched on."""
    for table in ("valuations", "valuation_history"):
        connection.execute(f"DELETE FROM {table} WHERE as_of = %s", [moment(at)])
        names = ", ".join(["position_id", "as_of", *columns])
        marks = ", ".join(["%s"] * (len(columns) + 2))
        connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})"
            + (" ON CONFLICT DO NOTHING" if table == "valuations" else ""),
            [name, moment(at), *columns.values()],
        )


def test_a_position_is_open_from_its_opening_until_its_end(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([opened(at=10), ended(at=100, began=10)])
    found = rows(
        connection,
        "SELECT at, position_id FROM book_at(%s)",
        [moment(at) for at in (9.999, 10, 99.999, 100)],
    )
    assert sorted(found) == [(moment(10), "p"), (moment(99.999), "p")]


def test_what_was_open_is_known_from_what_came_later(
    connection: psycopg.Connection, appender: Appender
) -> None:
    body = {"entry": entry(10)}
    appender.append_snapshots([snapshot(position="p", as_of=500, body=body)], moment(501))
    query = "SELECT open_interest_usd_pips, reading_at, mark_price_usd_pips FROM book_at(%s, %s)"
    assert rows(connection, query, [moment(60)], "infinity") == [(4_000, None, None)]
    assert rows(connection, query, [moment(60)], moment(500)) == []


def test_a_reading_is_whole_and_the_newest_by_then(
    connection: psycopg.Connection, appender: Appender
) -> None:
    current = {"notional_usd_pips": 4_000, "mark_price_usd_pips": 5_000, "collateral_usd_pips": 900}
    appender.append([opened(current=current)])
    read(connection, 60, mark_price_usd_pips=6_000, notional_usd_pips=3_000)
    read(connection, 120, mark_price_usd_pips=7_000, current_liquidation_price_usd_pips=3_500)
    query = (
        "SELECT reading_at, reading_source, mark_price_usd_pips, collateral_usd_pips,"
        " open_interest_usd_pips, liquidation_distance_bps FROM book_at(%s) ORDER BY at"
    )
    assert rows(connection, query, [moment(at) for at in (30, 60, 200)]) == [
        (moment(0), "fact", 5_000, 900, 4_000, None),
        (moment(60), "reading", 6_000, None, 3_000, None),
        (moment(120), "reading", 7_000, None, 4_000, 5_000),
    ]


def test_what_a_retracted_fact_said_is_no_reading(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([opened(current={"mark_price_usd_pips": 5_000})])
    wrong = {"entry": entry(0), "current": {"mark_price_usd_pips": 1}}
    appender.append([event("wrong", position="p", kind="position.force_unwound", at=5, body=wrong)])
    appender.append_retractions([Retraction("p", "wrong", "Wrong.", moment(200))], moment(200))
    query = "SELECT mark_price_usd_pips FROM book_at(%s, %s)"
    assert rows(connection, query, [moment(60)], "infinity") == [(5_000,)]
    assert rows(connection, query, [moment(60)], moment(199)) == [(1,)]


def test_equity_is_what_ended_brought_and_what_is_open_would(
    connection: psycopg.Connection, appender: Appender
) -> None:
    brought = {"net_realized_pnl_usd_pips": -50}
    appender.append([opened("a"), ended("a", at=12 * HOUR, result=brought), opened("b", at=DAY)])
    found = rows(
        connection,
        "SELECT day, positions, net_unrealized_pnl_usd_pips, net_realized_pnl_to_date_usd_pips,"
        " equity_usd_pips, equity_usd FROM end_of_day_book(%s, %s) ORDER BY day",
        *(FIRST, THIRD),
    )
    assert found == [
        # What ended at midnight had ended by the end of the day.
        (FIRST, 0, 0, -50, -50, Decimal("-0.0050")),
        (SECOND, 1, 7, -50, -43, Decimal("-0.0043")),
        (THIRD, 1, 7, -50, -43, Decimal("-0.0043")),
    ]


def test_fees_accrue_by_the_difference_between_readings(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([opened(fees=10)])
    read(connection, DAY, total_fees_usd_pips=40)
    appender.append([ended(at=3 * DAY, fees={"total_fees_usd_pips": 100})])
    found = rows(
        connection,
        "SELECT day, positions, total_fees_usd_pips, without_reading"
        " FROM fee_accrual(%s, %s) ORDER BY day",
        *(FIRST, date(2026, 7, 5)),
    )
    # No reading is from the third day, so what accrued on it is found on the day of the end.
    assert found == [
        (FIRST, 1, 10, 0),
        (SECOND, 1, 30, 0),
        (THIRD, 1, 0, 1),
        (date(2026, 7, 4), 1, 60, 0),
    ]
    later = "SELECT day, total_fees_usd_pips FROM fee_accrual(%s, %s)"
    assert rows(connection, later, SECOND, SECOND) == [(SECOND, 30)]


def test_the_partner_earns_its_part_of_the_fee(
    connection: psycopg.Connection, appender: Appender
) -> None:
    rates: dict[str, Any] = {"origination_fee_bps": 30, "partner_origination_fee_bps": 10}
    reverted = ended("c", status="cancelled", fees={"origination_fee_usd_pips": 0}, **rates)
    appender.append(
        [
            opened("a", origination_fee_usd_pips=100, **rates),
            opened("b", origination_fee_usd_pips=50),
            opened("c", origination_fee_usd_pips=60, **rates),
            reverted,
        ]
    )
    query = (
        "SELECT day, positions, origination_fee_usd_pips, partner_usd_pips, protocol_usd_pips,"
        " unknown FROM partner_revenue(%s, %s)"
    )
    assert rows(connection, query, FIRST, SECOND) == [(FIRST, 3, 150, 33, 67, 1)]


def test_the_parts_of_a_result_add_up_to_it(
    connection: psycopg.Connection, appender: Appender
) -> None:
    told = {"realized_pnl_usd_pips": 390, "net_realized_pnl_usd_pips": 340}
    odd = {"realized_pnl_usd_pips": 10, "net_realized_pnl_usd_pips": 3}
    fees = {"total_fees_usd_pips": 49}
    appender.append(
        [
            ended("a", result=told, fees=fees, effective_slippage_bps=25),
            ended("b", result=odd, fees=fees),
        ]
    )
    query = (
        "SELECT positions, price_usd_pips, leverage_usd_pips, slippage_usd_pips, fees_usd_pips,"
        " unexplained_usd_pips, net_realized_pnl_usd_pips, unknown FROM pnl_attribution(%s, %s)"
    )
    # Of 400, a quarter is the collateral's own; the vendor's net is a pip off; b has no slippage.
    assert rows(connection, query, FIRST, FIRST) == [
        (2, 100, 300, -10, -98, -1 + (3 + 49), 343, 1),
    ]


def test_open_positions_are_censored_in_survival(
    connection: psycopg.Connection, appender: Appender
) -> None:
    lived = {"a": 1, "b": 2, "c": None, "d": 3, "e": None}
    for name, hours in lived.items():
        began = HOUR if name == "c" else 0
        appender.append([opened(name, at=began)])
        if hours is not None:
            appender.append([ended(name, at=hours * HOUR)])
    query = (
        "SELECT age_seconds, positions, ended, censored, at_risk, survival"
        " FROM cohort_survival(%s, %s, %s, known_time => %s) ORDER BY age"
    )
    ages = [timedelta(hours=hours) for hours in (1, 2.5, 3.5, 9)]
    found = rows(connection, query, FIRST, FIRST, ages, moment(3.6 * HOUR))
    # At 1 h one of five ends, at 2 h one of four; c is lost to sight at 2.6 h; at 3 h one of two.
    assert found == [
        (3_600, 5, 1, 0, 4, Decimal("0.800000")),
        (9_000, 5, 2, 0, 3, Decimal("0.600000")),
        (12_600, 5, 3, 1, 1, Decimal("0.300000")),
        (32_400, 5, 3, 2, 0, None),
    ]


def test_an_age_that_is_named_twice_counts_once(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([opened(), ended(at=HOUR)])
    query = "SELECT age_seconds, positions, ended FROM cohort_survival(%s, %s, %s)"
    ages = [timedelta(days=1), timedelta(hours=24), timedelta(days=1)]
    assert rows(connection, query, FIRST, FIRST, ages) == [(DAY, 1, 1)]


@pytest.mark.parametrize("name", ["end_of_day_book", "fee_accrual"])
def test_a_day_that_has_not_begun_is_left_out(
    connection: psycopg.Connection, appender: Appender, name: str
) -> None:
    appender.append([opened(fees=10)])
    query = f"SELECT day FROM {name}(%s, %s, 'Asia/Tokyo', %s) ORDER BY day"
    # In Tokyo it is nine o'clock in the evening, and then midnight.
    for known, days in ((200, [FIRST]), (3 * HOUR, [FIRST, SECOND])):
        found = rows(connection, query, FIRST, date(2026, 7, 9), moment(known))
        assert found == [(day,) for day in days]
    assert rows(connection, query, date(2999, 1, 1), date(2999, 1, 3), "infinity") == []


def test_an_offset_is_no_time_zone(connection: psycopg.Connection) -> None:
    for zone in ("+05:30", "UTC-3", "<-03>3", "05:30", "5", "UTC5", "Etc/UTC+5", "GMT+5"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="offset is no time zone"):
            rows(connection, "SELECT * FROM local_days(%s, %s, %s)", FIRST, FIRST, zone)
    for zone in ("Etc/GMT-3", "etc/gmt+5", "GMT+0", "EST5EDT", "America/New_York"):
        assert len(rows(connection, "SELECT FROM local_days(%s, %s, %s)", FIRST, FIRST, zone)) == 1


def test_absurd_amounts_end_no_report(connection: psycopg.Connection, appender: Appender) -> None:
    least, most = -(2**63), 2**63 - 1
    absurd: dict[str, Any] = {
        "collateral_usd_pips": most,
        "notional_usd_pips": most,
        "effective_slippage_bps": most,
        "origination_fee_usd_pips": most,
        "origination_fee_bps": 1,
        "partner_origination_fee_bps": most,
    }
    now = {
        "position_value_usd_pips": least,
        "net_unrealized_pnl_usd_pips": least,
        "mark_price_usd_pips": 1,
        "notional_usd_pips": most,
    }
    result = {"realized_pnl_usd_pips": least, "net_realized_pnl_usd_pips": least}
    for name in "ab":
        appender.append([opened(name, fees=least, current=now, **absurd)])
    read(connection, 60, "a", mark_price_usd_pips=1, current_liquidation_price_usd_pips=least)
    for name in "cd":
        fees = {"total_fees_usd_pips": least if name == "c" else most}
        appender.append([opened(name, fees=most, current=now, **absurd)])
        appender.append([ended(name, at=DAY, result=result, fees=fees, **absurd)])
    dollars = {
        "activity_by_day": "volume_usd",
        "end_of_day_book": "open_interest_usd",
        "fee_accrual": "total_fees_usd",
        "partner_revenue": "partner_usd",
        "pnl_attribution": "net_realized_pnl_usd",
    }
    found = {
        name: rows(
            connection,
            f"SELECT {column}_pips, {column} FROM {name}(%s, %s) ORDER BY abs({column}) DESC",
            *(FIRST, SECOND),
        )[0]
        for name, column in dollars.items()
    }
    # Pips that do not fit are NULL; dollars are wider.
    assert found == {
        "activity_by_day": (None, Decimal(most) * 4 / 10_000),
        "end_of_day_book": (None, Decimal(most) * 4 / 10_000),
        "fee_accrual": (None, Decimal(least - most) / 10_000),
        "partner_revenue": (None, None),
        "pnl_attribution": (None, Decimal(least) * 2 / 10_000),
    }
    query = "SELECT position_id, liquidation_distance_bps FROM book_at(%s) ORDER BY 1"
    assert rows(connection, query, [moment(120)])[:2] == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM positions_known_at(%(known)s) ORDER BY position_id",
        "SELECT * FROM positions_valid_at(%(valid)s, %(known)s) ORDER BY position_id",
        "SELECT * FROM book_at(ARRAY[%(valid)s::timestamptz], %(known)s) ORDER BY position_id",
        "SELECT * FROM activity_by_day('2026-07-01', '2026-07-03', 'UTC', %(known)s) ORDER BY 1",
        "SELECT * FROM end_of_day_book('2026-07-01', '2026-07-02', 'UTC', %(known)s) ORDER BY 1",
        "SELECT * FROM fee_accrual('2026-07-01', '2026-07-02', 'UTC', %(known)s) ORDER BY 1",
        "SELECT * FROM partner_revenue('2026-07-01', '2026-07-03', 'UTC', %(known)s) ORDER BY 1",
        "SELECT * FROM pnl_attribution('2026-07-01', '2026-07-03', 'UTC', %(known)s) ORDER BY 1",
    ],
)
def test_a_report_can_be_made_again_as_it_was(
    connection: psycopg.Connection, appender: Appender, query: str
) -> None:
    def came(what: Received, at: float) -> Received:
        return Received(what.what, moment(at), what.source)

    def report(known: object) -> list[tuple[object, ...]]:
        values = {"known": known, "valid": moment(HOUR)}
        return [tuple(row) for row in connection.execute(query.encode(), values)]

    result = {"realized_pnl_usd_pips": 9, "net_realized_pnl_usd_pips": 5}
    body = {"market_ticker": "RAIN", "side": "yes", "entry": entry(0), "result": result}
    appender.append([came(opened("a"), 100), came(opened("b"), 100), came(opened("c"), 100)])
    appender.append([came(ended("b", result=result), 3_700)])
    made = report("infinity")
    # Late, repaired, retracted and new.
    appender.append(
        [came(ended("a", at=1_800, result=result, fees={"total_fees_usd_pips": 3}), 2 * DAY)]
    )
    appender.append_snapshots(
        [snapshot(position="c", status="settled", as_of=2 * DAY, body=body)], moment(2 * DAY)
    )
    appender.append_retractions([Retraction("b", "b-end", "No.", moment(2 * DAY))], moment(2 * DAY))
    appender.append([came(opened("d", at=60), 2 * DAY)])
    assert report("infinity") != made
    assert report(moment(DAY)) == made
