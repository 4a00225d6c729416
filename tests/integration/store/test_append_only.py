"""The log is append-only, by the database and not by habit."""

import psycopg
import pytest
from support.factories import event, received

from positionstore.store.appender import Appender

CONTENT = "SELECT seq, event_id, type FROM events ORDER BY seq"


STATEMENTS = [
    "UPDATE events SET type = 'x'",
    "UPDATE ONLY events SET received_at = now()",
    "DELETE FROM events",
    "DELETE FROM events WHERE event_id = 'evt_1'",
    "TRUNCATE events",
    "TRUNCATE position_statuses, events CASCADE",
    "WITH gone AS (DELETE FROM events RETURNING *) SELECT count(*) FROM gone",
    "WITH changed AS (UPDATE events SET type = 'x' RETURNING 1) SELECT * FROM changed",
    "INSERT INTO events SELECT * FROM events",
    """INSERT INTO events (event_id, position_id, type, created_at, received_at, source, envelope)
       SELECT event_id, position_id, 'x', created_at, received_at, source, envelope FROM events
       ON CONFLICT (position_id, event_id) DO UPDATE SET type = excluded.type""",
    "DELETE FROM events e USING positions p WHERE p.position_id = e.position_id",
    "UPDATE events e SET type = 'x' FROM positions p WHERE p.position_id = e.position_id",
]


def test_no_statement_changes_it(connection: psycopg.Connection, appender: Appender) -> None:
    appender.append([event("evt_1"), event("evt_2", kind="position.closed", status="closed", at=1)])
    before = connection.execute(CONTENT).fetchall()
    for statement in STATEMENTS:
        refusal = "seq" if "SELECT * FROM events" in statement else "The log is append-only"
        with pytest.raises(psycopg.Error, match=refusal):
            connection.execute(statement)
        assert connection.execute(CONTENT).fetchall() == before, statement


@pytest.mark.not_on_citus("a statement that can find no row is sent to no worker")
def test_not_even_one_that_finds_no_row(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error, match="The log is append-only"):
        connection.execute("UPDATE events SET type = 'x' WHERE false")


def test_the_refusal_says_what_was_tried_and_what_to_do_instead(
    connection: psycopg.Connection,
) -> None:
    for verb, statement in {
        "UPDATE": "UPDATE events SET type = ''",
        "DELETE": "DELETE FROM events",
        "TRUNCATE": "TRUNCATE events",
    }.items():
        with pytest.raises(psycopg.errors.RestrictViolation) as raised:
            connection.execute(statement)
        assert raised.value.diag.message_primary == (
            f"The log is append-only: {verb} of events is refused."
        )
        assert "appending a fact" in str(raised.value.diag.message_hint)


@pytest.mark.superuser
def test_not_even_for_a_session_that_plays_replica(
    connection: psycopg.Connection, appender: Appender
) -> None:
    """Ordinary triggers rest while ``session_replication_role`` is replica."""
    appender.append([event("evt_1")])
    connection.execute("SET session_replication_role = replica")
    with pytest.raises(psycopg.Error, match="append-only"):
        connection.execute("DELETE FROM events")


def test_the_envelope_is_kept_to_the_letter(
    connection: psycopg.Connection, appender: Appender
) -> None:
    raw = (
        b' { "type":"position.opened",  "id":"evt_1","created_at":"2026-07-01T12:00:00Z",\n'
        b'"data":{"status":"open","id":"dm_pos_1","x":1.50e+2,"x":"\\u0000\\ud800\\u00e9",'
        b'"n":123456789012345678901234567890}}\t'
    )
    appender.append([received(raw)])
    row = connection.execute("SELECT envelope::text FROM events").fetchone()
    assert row == (raw.decode(),)
