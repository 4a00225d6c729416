"""Why a number of yesterday is another one today."""

import psycopg
from support.factories import envelope, event, moment, received, snapshot

from positionstore.store.appender import Appender

QUERY = (
    "SELECT position_id, cause, valid_at, status_before, status_after, event_before, changed"
    " FROM book_changes(%s, %s) ORDER BY position_id, valid_at"
)


def test_an_event_that_came_late_is_told_with_what_it_changed(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", at=0)])
    late = envelope("e2", kind="position.closed", status="closed", at=50)
    news = envelope("e3", position="dm_pos_2", at=250)
    appender.append([received(late, at=300), received(news, at=301)])
    assert connection.execute(QUERY, [moment(200), moment(400)]).fetchall() == [
        ("dm_pos_1", "late", moment(200), "open", "closed", "e1", ["status"])
    ]
    assert connection.execute(QUERY, [moment(301), moment(400)]).fetchall() == []


def test_a_late_event_that_changes_no_row_is_not_told(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", kind="position.closed", status="closed", at=50)])
    appender.append([received(envelope("e2", at=0), at=300)])
    assert connection.execute(QUERY, [moment(200), moment(400)]).fetchall() == []


def test_a_snapshot_that_repaired_is_told_with_what_it_overruled(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("e1", at=0)])
    appender.append_snapshots(
        [
            snapshot(as_of=299, status="closed"),
            snapshot(position="dm_pos_2", as_of=299),
        ],
        moment(300),
    )
    assert connection.execute(QUERY, [moment(200), moment(400)]).fetchall() == [
        ("dm_pos_1", "snapshot", moment(299), "open", "closed", "e1", ["status"]),
        ("dm_pos_2", "snapshot", moment(299), None, "open", None, None),
    ]


def test_a_snapshot_may_hand_the_row_to_another_event(
    connection: psycopg.Connection, appender: Appender
) -> None:
    # It overrules the end and shows a phase that is lower than that of what happened lately.
    appender.append(
        [
            event("e1", kind="position.closed", status="closed", at=0),
            event("e2", kind="position.opened", at=280),
        ]
    )
    appender.append_snapshots([snapshot(as_of=299, status="pending")], moment(300))
    assert connection.execute(QUERY, [moment(200), moment(400)]).fetchall() == [
        ("dm_pos_1", "snapshot", moment(299), "closed", "open", "e1", ["status"])
    ]


def test_what_a_late_snapshot_overruled_is_told_as_the_snapshot_s(
    connection: psycopg.Connection, appender: Appender
) -> None:
    # Asked before the moment in question, answered after it; an event takes the place of the end.
    appender.append(
        [
            event("e1", kind="position.closed", status="closed", at=0),
            event("e2", kind="position.opened", at=180),
        ]
    )
    appender.append_snapshots([snapshot(as_of=199, status="pending")], moment(300))
    assert connection.execute(QUERY, [moment(200), moment(400)]).fetchall() == [
        ("dm_pos_1", "snapshot", moment(200), "closed", "open", "e1", ["status"])
    ]
