"""Retractions: a fact that an operator declared wrong counts no longer, and can count again."""

from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from support.factories import event, moment, snapshot
from support.listening import heard
from support.roles import roles_on

from positionstore.model.facts import Received, Retraction
from positionstore.store import database, retractions
from positionstore.store import runs as records
from positionstore.store.appender import Appended, Appender
from positionstore.store.grants import Role
from positionstore.store.projection import rebuild, verify
from positionstore.store.queries import queries

ROW = (
    "SELECT status, last_event_id, supersedes_before FROM positions WHERE position_id = 'dm_pos_1'"
)
YEAR_2096 = (datetime(2096, 1, 1, tzinfo=UTC) - moment(0)).total_seconds()


def closed(at: float, event_id: str = "evt_closed") -> Received:
    return event(event_id, kind="position.closed", status="closed", at=at)


def retraction(names: str, at: float = 200, position: str = "dm_pos_1") -> Retraction:
    return Retraction(position, names, "It is wrong.", moment(at))


def test_a_retraction_is_a_fact_of_the_log(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fact = retraction("evt_1")
    done = appender.append_retractions([fact], moment(201))
    assert done == Appended(received=1, appended=1, last_seq=1)
    row = connection.execute(
        "SELECT event_id, position_id, type, status, created_at, received_at, source,"
        " supersedes_before, retracts, envelope FROM events"
    ).fetchone()
    assert row == (
        fact.event_id, "dm_pos_1", "retraction", None, moment(200), moment(201), "import", None,
        "evt_1",
        {
            "id": fact.event_id,
            "type": "retraction",
            "created_at": "2026-07-01T12:03:20.000000Z",
            "data": {"position_id": "dm_pos_1", "retracts": "evt_1", "reason": "It is wrong."},
        },
    )  # fmt: skip
    assert connection.execute("SELECT count(*) FROM positions").fetchone() == (0,)
    again = appender.append_retractions([fact], moment(300))
    assert again == Appended(received=1, duplicates=1)


def test_an_event_dated_2096_no_longer_beats_what_comes(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), event("evt_2096", status="closing", at=YEAR_2096)])
    appender.append([event("evt_2", status="unwinding", at=100)])
    appender.append_snapshots([snapshot(as_of=150, status="open")], moment(151))
    assert connection.execute(ROW).fetchone() == ("closing", "evt_2096", moment(90))
    assert records.absent(connection, ["dm_pos_1"]) == [("dm_pos_1", moment(YEAR_2096))]

    appender.append_retractions([retraction("evt_2096")], moment(201))
    assert connection.execute(ROW).fetchone() == (
        "open", snapshot(as_of=150).event_id, moment(90),
    )  # fmt: skip
    # What the reconciler asks after does not name it any more.
    assert records.absent(connection, ["dm_pos_1"]) == [("dm_pos_1", moment(100))]
    appender.append([closed(at=300)])
    assert connection.execute(ROW).fetchone() == ("closed", "evt_closed", moment(90))
    assert verify(connection) == []


def test_a_snapshot_of_a_wrong_clock_lets_go_of_the_position(
    connection: psycopg.Connection, appender: Appender
) -> None:
    wrong = snapshot(as_of=YEAR_2096, status="open")
    appender.append([event("evt_1", at=0)])
    appender.append_snapshots([wrong], moment(10))
    appender.append([closed(at=100)])
    assert connection.execute(ROW).fetchone() == ("open", wrong.event_id, wrong.supersedes_before)
    appender.append_retractions([retraction(wrong.event_id)], moment(201))
    assert connection.execute(ROW).fetchone() == ("closed", "evt_closed", None)
    assert verify(connection) == []


def test_a_retraction_can_be_retracted_and_that_one_too(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), closed(at=100)])
    names = "evt_closed"
    for at, status in [(200, "open"), (201, "closed"), (202, "open"), (203, "closed")]:
        fact = retraction(names, at)
        appender.append_retractions([fact], moment(at))
        assert connection.execute("SELECT status FROM positions").fetchone() == (status,)
        names = fact.event_id
    assert connection.execute("SELECT stands FROM retractions ORDER BY created_at").fetchall() == [
        (False,),
        (True,),
        (False,),
        (True,),
    ]
    assert verify(connection) == []


def test_one_that_stands_is_enough(connection: psycopg.Connection, appender: Appender) -> None:
    first, second = retraction("evt_closed", 200), retraction("evt_closed", 201)
    appender.append([event("evt_1", at=0), closed(at=100)])
    appender.append_retractions([first, second], moment(210))
    appender.append_retractions([retraction(first.event_id, 220)], moment(220))
    assert connection.execute("SELECT status FROM positions").fetchone() == ("open",)
    appender.append_retractions([retraction(second.event_id, 230)], moment(230))
    assert connection.execute("SELECT status FROM positions").fetchone() == ("closed",)


def test_it_holds_for_facts_that_come_after_it(
    connection: psycopg.Connection, appender: Appender
) -> None:
    late = snapshot(as_of=500, status="closed")
    appender.append_retractions([retraction("evt_closed"), retraction(late.event_id)], moment(201))
    appender.append([closed(at=100)])
    appender.append_snapshots([late], moment(501))
    assert connection.execute("SELECT count(*) FROM positions").fetchone() == (0,)
    appender.append([event("evt_1", at=0), closed(at=100)])
    assert connection.execute(ROW).fetchone() == ("open", "evt_1", None)
    assert verify(connection) == []


def test_of_a_position_without_a_fact_left_there_is_no_row(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), event("evt_2", position="dm_pos_2")])
    connection.execute("INSERT INTO valuations VALUES ('dm_pos_1', now()), ('dm_pos_2', now())")
    gone = retraction("evt_1")
    done = appender.append_retractions([gone], moment(201))
    assert done.positions == 1
    only = [("dm_pos_2",)]
    for relation in ("positions", "valuations", "positions_as_of('infinity')", "open_positions"):
        assert connection.execute(f"SELECT position_id FROM {relation}").fetchall() == only
    assert verify(connection) == []
    assert rebuild(connection) == []

    appender.append_retractions([retraction(gone.event_id, 300)], moment(300))
    assert connection.execute(ROW).fetchone() == ("open", "evt_1", None)
    assert verify(connection) == []


def test_the_book_as_of_before_and_after_differ_by_when_it_was_received(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), closed(at=50)])  # received at 100
    appender.append_retractions([retraction("evt_closed", at=200)], moment(250))
    for function, column in [("positions_as_of", "last_event_id"), ("facts_as_of", "event_id")]:
        for known, winner in [(249, "evt_closed"), (250, "evt_1")]:
            for valid in (60, 200, 300):
                found = connection.execute(
                    f"SELECT {column} FROM {function}(%s, %s)", [moment(valid), moment(known)]
                ).fetchall()
                assert found == [(winner,)], (function, known, valid)


def test_the_timeline_and_the_lifecycle_know_of_it(
    connection: psycopg.Connection, appender: Appender
) -> None:
    fact = retraction("evt_2")
    appender.append(
        [
            event("evt_1", at=0),
            event("evt_2", kind="position.close_requested", status="closing", at=50),
            event("evt_3", kind="position.force_unwound", at=60, body={"side": "no"}),
        ]
    )
    appender.append_retractions([fact], moment(200))
    assert connection.execute(
        "SELECT event_id, won, overruled, retracted_by, changed FROM position_timeline"
        " WHERE position_id = 'dm_pos_1' ORDER BY place"
    ).fetchall() == [
        ("evt_2", False, False, fact.event_id, None),
        ("evt_1", False, False, None, None),
        ("evt_3", True, False, None, ["side"]),
    ]
    assert connection.execute(
        "SELECT opened_at, close_requested_at FROM position_lifecycle"
    ).fetchall() == [(moment(0), None)]


def test_what_it_changed_is_told(connection: psycopg.Connection, appender: Appender) -> None:
    appender.append([event("evt_1", at=0), closed(at=50)])
    appender.append([event("evt_2", position="dm_pos_2", at=0)])
    first, second = retraction("evt_closed", 300), retraction("evt_2", 301, "dm_pos_2")
    appender.append_retractions([first], moment(300))
    appender.append_retractions([second], moment(301))
    query = (
        "SELECT position_id, cause, valid_at, status_before, status_after, event_before,"
        " event_after, received_at, changed FROM book_changes(%s, %s) ORDER BY position_id"
    )
    assert connection.execute(query, [moment(200), moment(400)]).fetchall() == [
        ("dm_pos_1", "retraction", moment(200), "closed", "open", "evt_closed", "evt_1",
         moment(300), ["status"]),
        ("dm_pos_2", "retraction", moment(200), "open", None, "evt_2", None, moment(301), None),
    ]  # fmt: skip
    assert connection.execute(query, [moment(301), moment(400)]).fetchall() == []
    # Taken back in the same time, it has changed nothing.
    appender.append_retractions([retraction(first.event_id, 350)], moment(350))
    told = connection.execute(query, [moment(200), moment(400)]).fetchall()
    assert [row[0] for row in told] == ["dm_pos_2"]


def test_what_it_changed_of_a_fact_from_the_future_is_told_at_its_moment(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), event("evt_2096", status="closing", at=YEAR_2096)])
    appender.append_retractions([retraction("evt_2096", 300)], moment(300))
    told = connection.execute(
        "SELECT cause, valid_at, event_before, event_after, received_at FROM book_changes(%s, %s)",
        [moment(200), moment(400)],
    ).fetchall()
    assert told == [("retraction", moment(YEAR_2096), "evt_2096", "evt_1", moment(300))]


def test_only_an_operator_retracts(connection: psycopg.Connection, appender: Appender) -> None:
    """What calls itself a retraction and came over a gateway names nothing."""
    forged = event(
        "evt_9", kind="retraction", body={"retracts": "evt_1", "position_id": "dm_pos_1"}
    )
    appender.append([event("evt_1", at=0), forged])
    assert connection.execute("SELECT count(retracts) FROM events").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM retractions").fetchone() == (0,)
    row = "('r', 'p', 't', NULL, now(), now(), 'partner', NULL, '{}', 'evt_1')"
    with pytest.raises(psycopg.errors.CheckViolation, match="events_retractions_are_operators"):
        connection.execute(
            "INSERT INTO events (event_id, position_id, type, status, created_at, received_at,"
            f" source, supersedes_before, envelope, retracts) VALUES {row}"
        )


def test_names_that_lead_in_a_circle_or_on_for_ever_end(
    connection: psycopg.Connection, appender: Appender
) -> None:
    """Ids are made of what they name, so neither happens; the database is not to hang on it."""
    appender.append([event("evt_1", at=0)])
    insert = (
        "INSERT INTO events (event_id, position_id, type, created_at, received_at, source,"
        " envelope, retracts) VALUES ('ret_' || %s, 'dm_pos_1', 'retraction', now(), now(),"
        " 'import', '{}', %s)"
    )
    names = [("a", "ret_b"), ("b", "ret_a")]
    names += [("0", "evt_1"), *((str(n), f"ret_{n - 1}") for n in range(1, 300))]
    connection.cursor().executemany(insert, names)
    # The hundredth link of the chain is followed, and no more.
    assert connection.execute("SELECT is_retracted('dm_pos_1', 'evt_1')").fetchone() == (False,)
    assert connection.execute("SELECT count(*) FROM retractions").fetchone() == (302,)
    assert verify(connection) == []
    assert len(connection.execute("SELECT * FROM position_timeline").fetchall()) == 1


def test_a_dry_run_shows_the_same_and_leaves_nothing(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), closed(at=50)])
    fact = retraction("evt_closed")
    tried = retractions.apply(connection, [fact], moment(201), dry_run=True)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)
    assert connection.execute(ROW).fetchone() == ("closed", "evt_closed", None)
    assert retractions.apply(connection, [fact], moment(201)) == tried
    shown = [state.last_event_id for state in (tried.before, tried.after) if state is not None]
    assert shown == ["evt_closed", "evt_1"]


def test_an_append_does_not_read_the_log_for_retractions(
    connection: psycopg.Connection, appender: Appender
) -> None:
    """The planner knows nothing of a log that was never analyzed, nor of one that has grown."""

    def plan() -> str:
        looked = queries("appender")["look"].format(seen=queries("appender")["seen"])
        rows = connection.execute(sql.SQL("EXPLAIN {}").format(looked))
        return "\n".join(line for (line,) in rows)

    for round_ in range(2):
        appender.append([event(f"evt_{round_}_{n}", position=f"dm_{n}") for n in range(3000)])
        assert "using events_retractions" in plan()
        assert "Seq Scan on events" not in plan()
    connection.execute("ANALYZE events")
    assert "Seq Scan on events" not in plan()
    appender.append_retractions([retraction("evt_0_1", position="dm_1")], moment(200))
    connection.execute("ANALYZE events")
    assert "Seq Scan on events" not in plan()


def test_one_that_comes_during_a_rebuild_is_not_forgotten(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", at=0), closed(at=50)])
    appender.append([event("evt_2", position="dm_pos_2")])

    def retract_two(done: int, total: int) -> None:
        appender.append_retractions([retraction("evt_closed")], moment(200))
        appender.append_retractions([retraction("evt_2", position="dm_pos_2")], moment(200))

    rebuild(connection, progress=retract_two)
    assert connection.execute("SELECT position_id, last_event_id FROM positions").fetchall() == [
        ("dm_pos_1", "evt_1")
    ]
    assert verify(connection) == []


@pytest.mark.superuser
def test_the_writer_retracts_and_the_reader_sees_it(any_store_url: str) -> None:
    with roles_on(any_store_url) as urls:
        with closing(database.connect(urls[Role.WRITER])) as writer:
            Appender(writer).append([event("evt_1", at=0), closed(at=50)])
        with closing(database.connect(urls[Role.WRITER])) as writer:
            done = retractions.apply(writer, [retraction("evt_closed")], moment(200))
            assert done.appended == 1
        with closing(database.connect(urls[Role.READER])) as reader:
            found = reader.execute(
                "SELECT event_id, retracted_by IS NULL FROM position_timeline ORDER BY place"
            ).fetchall()
            assert found == [("evt_closed", False), ("evt_1", True)]
            assert reader.execute("SELECT stands FROM retractions").fetchall() == [(True,)]
            refused = (
                psycopg.errors.ReadOnlySqlTransaction,
                psycopg.errors.InsufficientPrivilege,
            )
            with pytest.raises(refused):
                retractions.apply(reader, [retraction("evt_1")], moment(300))


def test_listeners_are_told(connection: psycopg.Connection, appender: Appender) -> None:
    connection.execute("LISTEN positionstore")
    appender.append_retractions([retraction("evt_1")], moment(201))
    assert heard(connection) == ["1"]
