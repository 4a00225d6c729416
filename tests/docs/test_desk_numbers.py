"""The numbers of a desk add up, over the five days that the pages on SQL show."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import docs_world
import psycopg
import pytest
from support.postgres import Server, fresh_database

from positionstore.store import database

pytestmark = pytest.mark.slow

DAYS = "'2026-07-01', '2026-07-06'"
END = datetime(2026, 7, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def desk(postgres: Server, any_store_template: str) -> Iterator[psycopg.Connection]:
    with fresh_database(postgres, any_store_template) as url:
        docs_world.fill(url)
        with closing(database.connect(url)) as connection:
            yield connection


def one(connection: psycopg.Connection, query: str) -> tuple[object, ...]:
    ((*row,),) = connection.execute(query.encode()).fetchall()
    return tuple(row)


def test_the_accrued_fees_of_all_days_are_those_that_were_paid_and_are_owed(
    desk: psycopg.Connection,
) -> None:
    accrued = one(desk, f"SELECT sum(total_fees_usd_pips) FROM fee_accrual({DAYS})")
    assert accrued == one(
        desk,
        "SELECT (SELECT sum(fees_total_fees_usd_pips) FROM closed_positions"
        " WHERE opened_at IS NOT NULL)"
        " + (SELECT sum(total_fees_usd_pips) FROM book_at('{2026-07-07 00:00Z}'))",
    )


def test_the_last_equity_is_what_ended_and_what_is_open(desk: psycopg.Connection) -> None:
    last = "end_of_day_book('2026-07-06', '2026-07-06')"
    assert one(
        desk,
        f"SELECT sum(positions), sum(equity_usd_pips), sum(open_interest_usd_pips) FROM {last}",
    ) == one(
        desk,
        "SELECT o.positions, o.pnl + c.pnl, o.interest FROM (SELECT count(*) AS positions,"
        " sum(valuation_net_unrealized_pnl_usd_pips) AS pnl,"
        " sum(open_interest_usd_pips) AS interest"
        " FROM open_positions) o,"
        " (SELECT sum(result_net_realized_pnl_usd_pips) AS pnl FROM closed_positions) c",
    )


def test_the_parts_of_the_results_add_up(desk: psycopg.Connection) -> None:
    parts = one(
        desk,
        "SELECT sum(price_usd_pips + leverage_usd_pips + slippage_usd_pips + fees_usd_pips"
        f" + unexplained_usd_pips), sum(unknown) FROM pnl_attribution({DAYS})",
    )
    assert parts == (
        *one(desk, "SELECT sum(net_realized_pnl_usd_pips) FROM daily_activity"),
        0,
    )


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_days_of_every_zone_have_the_same_sum(desk: psycopg.Connection, zone: str) -> None:
    sums = (
        "SELECT sum(opened), sum(closed), sum(cancelled), sum(volume_usd_pips), sum(fees_usd_pips)"
    )
    by_zone = f"{sums} FROM activity_by_day('2026-06-30', '2026-07-06', '{zone}')"
    assert one(desk, by_zone) == one(desk, f"{sums} FROM daily_activity")


def test_the_present_is_the_same_by_every_name(desk: psycopg.Connection) -> None:
    assert one(
        desk,
        "SELECT count(*), count(*) FILTER (WHERE (v.status, v.opened_at, v.ended_at)"
        " IS NOT DISTINCT FROM (l.status, l.opened_at, l.ended_at))"
        " FROM positions_valid_at('infinity') v JOIN position_lifecycle l USING (position_id)",
    ) == one(desk, "SELECT count(*), count(*) FROM positions")


def test_the_store_of_a_past_moment_is_what_was_known_then(desk: psycopg.Connection) -> None:
    """As positions_as_of makes it of the facts that had been received by then."""
    for hours in range(1, 120, 17):
        known = END - timedelta(hours=hours)
        differing = desk.execute(
            "SELECT position_id, status, result_net_realized_pnl_usd_pips"
            " FROM positions_known_at(%(known)s)"
            " EXCEPT SELECT position_id, status, result_net_realized_pnl_usd_pips"
            " FROM positions_as_of('infinity', %(known)s)",
            {"known": known},
        ).fetchall()
        assert differing == []
