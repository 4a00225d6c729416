"""When a position opened and ended: one definition, the same in every view, tested at midnight."""

import itertools
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from support.factories import event, moment, snapshot, wire_time

from positionstore.model.facts import Retraction
from positionstore.store.appender import Appender

MIDNIGHT = 12 * 3600
"""Seconds after noon."""

EVERYWHERE = """
    SELECT l.opened_at, l.opened_at_source, l.ended_at, l.ended_at_source FROM position_lifecycle l
    UNION ALL SELECT opened_at, opened_at_source, ended_at, ended_at_source FROM closed_positions
    UNION ALL SELECT opened_at, opened_at_source, NULL, NULL FROM open_positions
    UNION ALL
    SELECT opened_at, opened_at_source, ended_at, ended_at_source FROM positions_known_at()
    UNION ALL
    SELECT opened_at, opened_at_source, ended_at, ended_at_source
    FROM positions_valid_at('infinity')
"""
DAYS = """
    SELECT day, opened, closed + settled + liquidated + cancelled FROM {} ORDER BY day
"""


def moments(connection: psycopg.Connection) -> tuple[object, ...]:
    """Return the moments of the one position, which all views agree on."""
    rows = connection.execute(EVERYWHERE).fetchall()
    assert len(rows) == 4
    assert len(set(rows)) == 1
    return tuple(rows[0])


def days(connection: psycopg.Connection) -> list[tuple[date, int, int]]:
    """Return the days of the one position, by the view and by the function."""
    found = connection.execute(DAYS.format("daily_activity")).fetchall()
    again = connection.execute(
        DAYS.format("activity_by_day('2026-06-30', '2026-07-04')")
    ).fetchall()
    assert found == again
    return found


def lived(
    appender: Appender,
    *,
    opened: float | None,
    ended: float | None,
    opened_event: float,
    ended_event: float,
    status: str = "closed",
    kind: str = "position.closed",
) -> None:
    entry = {"opened_at": None if opened is None else wire_time(opened)}
    result = {"closed_at": None if ended is None else wire_time(ended)}
    appender.append(
        [
            event("e1", kind="position.created", status="pending", at=opened_event - 60),
            event("e2", at=opened_event, body={"entry": entry}),
            event(
                "e3", kind=kind, status=status, at=ended_event,
                body={"entry": entry, "result": result},
            ),
        ]
    )  # fmt: skip


def test_a_body_that_tells_a_moment_decides_the_day(
    connection: psycopg.Connection, appender: Appender
) -> None:
    lived(
        appender,
        opened=MIDNIGHT - 0.1, opened_event=MIDNIGHT + 0.1,
        ended=2 * MIDNIGHT + MIDNIGHT - 0.1, ended_event=3 * MIDNIGHT + 0.1,
    )  # fmt: skip
    assert moments(connection) == (
        *(moment(MIDNIGHT - 0.1), "body", moment(3 * MIDNIGHT - 0.1), "body"),
    )
    assert days(connection) == [(date(2026, 7, 1), 1, 0), (date(2026, 7, 2), 0, 1)]


def test_where_no_body_tells_it_the_event_does(
    connection: psycopg.Connection, appender: Appender
) -> None:
    lived(appender, opened=None, opened_event=MIDNIGHT, ended=None, ended_event=3 * MIDNIGHT - 0.1)
    assert moments(connection) == (
        *(moment(MIDNIGHT), "event", moment(3 * MIDNIGHT - 0.1), "event"),
    )
    assert days(connection) == [(date(2026, 7, 2), 1, 1)]


def test_an_open_position_without_a_told_moment_is_in_every_view(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", at=MIDNIGHT - 1, body={"entry": {"opened_at": None}})])
    assert moments(connection) == (moment(MIDNIGHT - 1), "event", None, None)
    assert days(connection) == [(date(2026, 7, 1), 1, 0)]


@pytest.mark.parametrize("told", [10.0, None])
def test_a_position_that_opened_and_was_reverted_did_open(
    connection: psycopg.Connection, appender: Appender, told: float | None
) -> None:
    lived(
        appender,
        opened=told, opened_event=12, ended=310, ended_event=312,
        status="cancelled", kind="position.reverted",
    )  # fmt: skip
    opened = (moment(12), "event") if told is None else (moment(told), "body")
    assert moments(connection) == (*opened, moment(310), "body")
    assert days(connection) == [(date(2026, 7, 1), 1, 1)]
    held = "SELECT held_for FROM closed_positions"
    again = "SELECT opened_to_ended FROM position_lifecycle"
    assert (
        connection.execute(held).fetchall()
        == connection.execute(again).fetchall()
        == [(moment(310) - opened[0],)]
    )


def test_one_that_was_cancelled_before_it_opened_never_opened(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append(
        [
            event("e1", kind="position.created", status="pending", at=0),
            event("e2", kind="position.cancelled", status="cancelled", at=60),
        ]
    )
    assert moments(connection) == (None, None, moment(60), "event")
    assert days(connection) == [(date(2026, 7, 1), 0, 1)]


def test_of_two_snapshots_with_one_as_of_the_one_that_counts_tells_the_end(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append_snapshots([snapshot(as_of=100)], moment(101))
    appender.append_snapshots([snapshot(as_of=300)], moment(301))
    appender.append_snapshots([snapshot(as_of=300, status="settled")], moment(302))
    assert moments(connection) == (moment(100), "snapshot", moment(300), "snapshot")


def test_what_only_a_snapshot_shows_happened_by_then(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", kind="position.created", status="pending", at=0)])
    appender.append_snapshots([snapshot(as_of=100)], moment(101))
    appender.append_snapshots([snapshot(as_of=300, status="settled")], moment(301))
    assert moments(connection) == (moment(100), "snapshot", moment(300), "snapshot")


def test_an_end_that_was_undone_is_not_the_end(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", at=0)])
    appender.append([event("e2", kind="position.closed", status="closed", at=10)])
    appender.append_snapshots([snapshot(as_of=100)], moment(101))
    assert moments(connection) == (moment(0), "event", None, None)
    appender.append([event("e3", kind="position.closed", status="closed", at=200)])
    assert moments(connection) == (moment(0), "event", moment(200), "event")


def test_a_retracted_event_opened_nothing(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", at=0), event("e2", at=30)])
    appender.append_retractions([Retraction("dm_pos_1", "e1", "Wrong.", moment(200))], moment(200))
    assert moments(connection) == (moment(30), "event", None, None)
    before = connection.execute(
        "SELECT opened_at FROM positions_known_at(%s)", [moment(150)]
    ).fetchall()
    assert before == [(moment(0),)]


def test_a_pending_position_has_not_opened(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", status="pending", body={"entry": {"opened_at": wire_time(5)}})])
    assert connection.execute("SELECT opened_at, ended_at FROM position_lifecycle").fetchall() == [
        (None, None)
    ]
    assert days(connection) == []


@pytest.mark.parametrize(
    ("zone", "opened", "ended"),
    [
        ("UTC", date(2026, 7, 1), date(2026, 7, 2)),
        ("America/New_York", date(2026, 7, 1), date(2026, 7, 1)),
        ("Pacific/Kiritimati", date(2026, 7, 2), date(2026, 7, 2)),
    ],
)
def test_days_are_those_of_the_zone_that_is_asked_for(
    connection: psycopg.Connection, appender: Appender, zone: str, opened: date, ended: date
) -> None:
    lived(
        appender,
        opened=MIDNIGHT - 0.1, opened_event=MIDNIGHT, ended=MIDNIGHT, ended_event=MIDNIGHT,
    )  # fmt: skip
    found = connection.execute(
        "SELECT day, sum(opened), sum(closed)"
        " FROM activity_by_day('2026-06-30', '2026-07-04', %s) GROUP BY day",
        [zone],
    ).fetchall()
    assert sorted(day for day, was, _ in found if was) == [opened]
    assert sorted(day for day, _, was in found if was) == [ended]


def test_a_day_on_which_clocks_change_has_23_hours(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "SELECT day, starts_at, ends_at FROM local_days('2026-03-07', '2026-03-09', %s)",
        ["America/New_York"],
    ).fetchall()
    assert [end - start for _, start, end in rows] == [
        timedelta(hours=hours) for hours in (24, 23, 24)
    ]
    assert rows[0][1] == datetime(2026, 3, 7, 5, tzinfo=UTC)
    assert all(row[2] == after[1] for row, after in itertools.pairwise(rows))


def test_what_an_archive_tells_is_not_guessed_from_what_stayed(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e2", kind="position.closed", status="closed", at=10)])
    assert moments(connection) == (moment(10), "event", moment(10), "event")
    connection.execute(
        "INSERT INTO archives SELECT 'arc_1', 'f', 's', 'd', now(), 1, 1, 1, 1,"
        " '2026-07-01 11:00Z', '2026-07-01 13:00Z', '2026-07-01 11:00Z', '2026-07-01 13:00Z', now()"
    )
    connection.execute(
        "INSERT INTO archived_positions SELECT 'dm_pos_1', 'arc_1', 1,"
        " first_created_at, last_created_at, first_received_at, last_received_at FROM archives"
    )
    assert moments(connection) == (None, "archive", moment(10), "event")
