"""Appending: what counts as what, and that a batch is there whole or not at all."""

import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from support.factories import NOON, envelope, event, moment, received, rejected, snapshot
from support.listening import heard
from support.waiting import DEADLINE

from positionstore.model.facts import Reason, Received, Rejected, Source
from positionstore.store import database, quarantine
from positionstore.store.appender import Appended, Appender
from positionstore.store.locks import APPEND_LOCK

Connect = Callable[[], psycopg.Connection]


def seqs(connection: psycopg.Connection) -> list[int]:
    return [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]


def test_what_is_new_is_appended_in_the_order_of_arrival(
    connection: psycopg.Connection, appender: Appender
) -> None:
    batch = [event(f"evt_{n}", position=f"dm_pos_{n % 3}", at=n) for n in (5, 3, 9, 1)]
    assert appender.append(batch) == Appended(
        received=4, appended=4, duplicates=0, quarantined=0, positions=3, last_seq=4
    )
    rows = connection.execute(
        "SELECT event_id, type, status, created_at, received_at, source, supersedes_before"
        " FROM events ORDER BY seq"
    ).fetchall()
    assert rows == [
        (f"evt_{n}", "position.opened", "open", moment(n), moment(100), "partner", None)
        for n in (5, 3, 9, 1)
    ]


def test_duplicates_are_counted_and_not_appended(
    connection: psycopg.Connection, appender: Appender
) -> None:
    first, second = event("evt_1"), event("evt_2", at=1)
    assert appender.append([first, first, first]) == Appended(3, 1, 2, 0, 1, 1)
    again = appender.append([first, second, second])
    assert (again.received, again.appended, again.duplicates) == (3, 1, 2)
    nothing = appender.append([second, first])
    assert nothing == Appended(received=2, duplicates=2)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_a_duplicate_keeps_the_first_arrival(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", source=Source.PARTNER)])
    appender.append([event("evt_1", source=Source.IMPORT)])
    assert connection.execute("SELECT source FROM events").fetchall() == [("partner",)]


def test_one_id_of_two_positions_is_two_events(appender: Appender) -> None:
    batch = [event("evt_1", position="dm_pos_1"), event("evt_1", position="dm_pos_2")]
    assert appender.append(batch).appended == 2
    assert appender.append(batch).duplicates == 2


def test_the_same_json_in_another_spelling_is_a_plain_duplicate(
    connection: psycopg.Connection, appender: Appender
) -> None:
    raw = envelope("evt_1", body={"market_title": "é", "n": 15, "x": {"a": 1, "b": [True, None]}})
    indented = json.dumps(json.loads(raw), indent=2).encode()
    backwards = json.dumps(dict(reversed(json.loads(raw).items()))).encode()
    number = raw.replace(b'"n": 15', b'"n": 1.50e1')
    assert len({raw, indented, backwards, number}) == 4
    outcome = appender.append([received(raw), received(indented)])
    assert (outcome.appended, outcome.duplicates, outcome.quarantined) == (1, 1, 0)
    outcome = appender.append([received(backwards), received(number)])
    assert (outcome.appended, outcome.duplicates, outcome.quarantined) == (0, 2, 0)
    assert quarantine.count_waiting(connection) == {}


def test_the_same_id_with_other_content_goes_to_quarantine(
    connection: psycopg.Connection, appender: Appender
) -> None:
    one, other, third = (event("evt_1", body={"side": side}) for side in ("yes", "no", "?"))
    outcome = appender.append([one, other, one, event("evt_2", at=1)])
    assert (outcome.received, outcome.appended) == (4, 2)
    assert (outcome.duplicates, outcome.quarantined) == (1, 1)
    outcome = appender.append([other, third, one])
    assert (outcome.appended, outcome.duplicates, outcome.quarantined) == (0, 1, 2)
    kept = quarantine.to_retry(connection)
    assert [entry.raw for entry in kept] == [other.what.envelope, third.what.envelope]  # type: ignore[union-attr] # events
    assert {entry.reason for entry in kept} == {"conflicting_duplicate"}
    assert all("evt_1" in entry.detail for entry in kept)
    assert connection.execute(
        "SELECT data ->> 'side' FROM fact_positions WHERE last_event_id = 'evt_1'"
    ).fetchall() == [("yes",)]


@pytest.mark.parametrize("beside", [0, 300])
def test_a_few_inputs_go_the_way_of_many_and_to_the_same_end(
    connection: psycopg.Connection, appender: Appender, beside: int
) -> None:
    """Many are staged in a temporary table, a few are not: what becomes of them is the same."""
    one, other = (event("evt_1", body={"side": side}) for side in ("yes", "no"))
    odd = received(
        '{"id":"evt_é","type":"t","created_at":"2026-07-01T12:00:00Z","data":{}}'.encode()
    )
    appender.append([event("evt_0"), one])
    appender.stage([event("evt_0"), other, other, rejected()])
    appender.stage([odd, event("evt_2", at=9, source=Source.CUSTOMER)])
    appender.stage([event(f"evt_{n}", position="dm_beside") for n in range(beside)])
    outcome = appender.commit()
    assert outcome.received == 6 + beside
    assert (outcome.appended, outcome.duplicates) == (2 + beside, 1)
    assert outcome.quarantined == 3
    assert connection.execute(
        """SELECT event_id, position_id, type, status, source, created_at, received_at
        FROM events WHERE position_id <> 'dm_beside' ORDER BY seq"""
    ).fetchall() == [
        ("evt_0", "dm_pos_1", "position.opened", "open", "partner", moment(0), moment(100)),
        ("evt_1", "dm_pos_1", "position.opened", "open", "partner", moment(0), moment(100)),
        ("evt_é", "", "t", None, "partner", NOON, moment(100)),
        ("evt_2", "dm_pos_1", "position.opened", "open", "customer", moment(9), moment(100)),
    ]
    assert connection.execute(
        "SELECT last_event_id FROM positions WHERE position_id = 'dm_pos_1'"
    ).fetchone() == ("evt_2",)
    assert quarantine.count_waiting(connection) == {
        Reason.CONFLICTING_DUPLICATE: 1,
        Reason.NOT_JSON: 1,
    }


@pytest.mark.not_on_citus("there a few inputs are staged as many are")
def test_a_few_inputs_touch_no_temporary_table(connect: Connect) -> None:
    """To empty it at the commit takes the server longer than all the rest."""
    with closing(connect()) as session:
        appender = Appender(session)
        session.execute("DROP TABLE pg_temp.incoming")
        session.commit()
        appender.stage([event("evt_1")])
        assert session.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        assert appender.commit().appended == 1


def test_a_conflict_of_one_side_is_no_conflict_of_the_other(appender: Appender) -> None:
    """The log has the second of two that differ: only the first is in conflict with it."""
    one, other = (event("evt_1", body={"side": side}) for side in ("yes", "no"))
    appender.append([other])
    outcome = appender.append([one, other])
    assert (outcome.appended, outcome.duplicates, outcome.quarantined) == (0, 1, 1)


@pytest.mark.parametrize("count", [8, 32])
def test_conflicts_take_no_memory_of_this_process(
    connection: psycopg.Connection, appender: Appender, count: int
) -> None:
    appender.append([event(f"evt_{n}") for n in range(count)])
    for n in range(count):
        appender.stage([event(f"evt_{n}", body={"x": "y" * 1_000_000})])
    tracemalloc.start()
    outcome = appender.commit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.quarantined == count
    assert connection.execute("SELECT min(length(raw)) > 1000000 FROM quarantine").fetchone() == (
        True,
    )
    assert peak < 500_000


def test_an_input_that_is_no_event_is_kept_whole_and_once(
    connection: psycopg.Connection, appender: Appender
) -> None:
    raw = b'{"id": \xff\x00'
    outcome = appender.append([rejected(raw), rejected(raw, at=200), rejected(b"[]")])
    assert outcome == Appended(received=3, quarantined=3)
    appender.append([rejected(raw, at=300, source=Source.CUSTOMER)])
    kept = quarantine.to_retry(connection)
    assert [(entry.raw, entry.reason) for entry in kept] == [
        (raw, "not_utf8"),
        (b"[]", "not_an_object"),
    ]
    assert kept[0].received_at == moment(100)
    assert kept[0].source == "partner"


@pytest.mark.parametrize("detail", ["nul \0 inside", "half \ud83d of a pair", "", "é" * 100_000])
def test_no_reason_is_too_odd_for_quarantine(
    connection: psycopg.Connection, appender: Appender, detail: str
) -> None:
    what = Rejected(b"\0", Reason.INTERNAL_ERROR, detail)
    assert appender.append([Received(what, NOON, Source.PARTNER)]).quarantined == 1
    assert quarantine.count_waiting(connection) == {"internal_error": 1}


def test_an_empty_batch_does_nothing(connection: psycopg.Connection, appender: Appender) -> None:
    assert appender.append([]) == Appended()
    assert appender.append_snapshots([], NOON) == Appended()
    assert seqs(connection) == []


def test_a_batch_of_one(connection: psycopg.Connection, appender: Appender) -> None:
    assert appender.append([event("evt_1")]) == Appended(1, 1, 0, 0, 1, 1)
    assert seqs(connection) == [1]


def test_a_batch_of_what_is_no_event_alone(
    connection: psycopg.Connection, appender: Appender
) -> None:
    assert appender.append([rejected(b"x")]) == Appended(received=1, quarantined=1)
    assert seqs(connection) == []


def test_a_notification_is_logged_and_not_projected(
    connection: psycopg.Connection, appender: Appender
) -> None:
    notice = {"id": "evt_n", "type": "notification.created", "created_at": "2026-07-01T12:00:00Z"}
    named = notice | {"data": {"code": "x", "params": {"position_id": "dm_pos_1"}}}
    unnamed = notice | {"id": "evt_m", "data": {"code": "x"}}
    batch = [received(json.dumps(one).encode()) for one in (named, unnamed)]
    assert appender.append(batch) == Appended(2, 2, 0, 0, 0, 2)
    rows = connection.execute("SELECT position_id, status FROM events ORDER BY seq").fetchall()
    assert rows == [("dm_pos_1", None), ("", None)]
    assert appender.append(batch).duplicates == 2


def test_words_that_nobody_knows_are_kept_and_projected(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", kind="position.teleported", status="sublimated")])
    row = connection.execute("SELECT status, phase, last_event_type FROM positions").fetchone()
    assert row == ("sublimated", "live", "position.teleported")


def test_an_envelope_of_five_megabytes(connection: psycopg.Connection, appender: Appender) -> None:
    raw = envelope("evt_1", body={"blob": "é" * 1_250_000, "list": list(range(350_000))})
    assert len(raw) > 5_000_000
    assert appender.append([received(raw)]).positions == 1
    row = connection.execute("SELECT convert_to(envelope::text, 'UTF8') FROM events").fetchone()
    assert row == (raw,)
    assert appender.append([received(raw)]).duplicates == 1


def test_a_batch_is_announced_once_with_its_highest_seq_and_only_when_committed(
    connection: psycopg.Connection, connect: Connect, appender: Appender
) -> None:
    connection.execute("LISTEN positionstore")
    appender.append([event(f"evt_{n}", position=f"dm_pos_{n}") for n in range(7)])
    assert heard(connection) == ["7"]
    appender.stage([event("evt_8")])
    assert heard(connection) == []
    appender.rollback()
    appender.append([event("evt_1", position="dm_pos_1")])  # a duplicate is no news
    appender.append([rejected()])
    outcome = appender.append([event("evt_9")])
    assert heard(connection) == [str(outcome.last_seq)]
    appender.append_snapshots([snapshot()], NOON)
    assert heard(connection) == [str(seqs(connection)[-1])]
    assert heard(connection) == []


def test_an_interrupt_that_closes_the_connection_stays_an_interrupt(connect: Connect) -> None:
    own = connect()
    appender = Appender(own)

    class Interrupted(list[Received]):
        def __iter__(self) -> Iterator[Received]:
            yield from super().__iter__()
            own.close()  # as psycopg does where the server cannot be told to stop in time
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        appender.stage(Interrupted(event(f"evt_{n}") for n in range(200)))


def test_nothing_stays_behind_in_the_staging_table(connect: Connect) -> None:
    own = connect()
    appender = Appender(own)
    appender.append([event("evt_1"), rejected()])
    assert own.execute("SELECT count(*) FROM pg_temp.incoming").fetchone() == (0,)
    own.commit()
    appender.stage([event("evt_2")])
    appender.rollback()
    assert own.execute("SELECT count(*) FROM pg_temp.incoming").fetchone() == (0,)
    own.commit()
    assert appender.append([event("evt_3", at=3)]).appended == 1


def test_what_is_staged_in_pieces_is_one_transaction(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.stage([event("evt_1"), event("evt_2", at=1)])
    appender.stage([event("evt_1"), event("evt_3", at=2), rejected()])
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    done = appender.commit()
    assert done == Appended(5, 3, 1, 1, 1, seqs(connection)[-1])


def test_staged_facts_and_snapshots_do_not_mix(appender: Appender) -> None:
    appender.stage([event("evt_1")])
    with pytest.raises(RuntimeError, match="staged"):
        appender.append_snapshots([snapshot()], NOON)
    assert appender.commit().appended == 1
    with pytest.raises(RuntimeError, match="stage"):
        appender.commit()


def test_what_the_database_refuses_takes_its_batch_back_and_no_more(
    connection: psycopg.Connection, appender: Appender
) -> None:
    good, bad = event("evt_1"), event("evt_2", source=Source.REST)  # REST brings snapshots alone
    with pytest.raises(psycopg.errors.CheckViolation):
        appender.append([good, bad, rejected()])
    assert seqs(connection) == []
    assert connection.execute("SELECT count(*) FROM positions").fetchone() == (0,)
    assert quarantine.count_waiting(connection) == {}
    outcome = appender.append([good, rejected()])
    assert (outcome.appended, outcome.quarantined, outcome.positions) == (1, 1, 1)


def test_a_projection_that_fails_takes_the_log_s_part_back(
    connection: psycopg.Connection, appender: Appender
) -> None:
    connection.execute("ALTER TABLE positions ADD CONSTRAINT no_closed CHECK (status <> 'closed')")
    with pytest.raises(psycopg.errors.CheckViolation):
        appender.append([event("evt_1"), event("evt_2", status="closed", position="dm_pos_2")])
    assert seqs(connection) == []
    assert appender.append([event("evt_1")]).appended == 1


def test_a_connection_that_is_killed_while_it_waits_leaves_nothing(
    connection: psycopg.Connection, connect: Connect
) -> None:
    own = connect()
    pid = own.info.backend_pid
    appender = Appender(own)
    errors: list[BaseException] = []

    def append() -> None:
        try:
            appender.append([event("evt_1")])
        except psycopg.Error as error:
            errors.append(error)

    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        thread = threading.Thread(target=append)
        thread.start()
        blocked = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
        while not connection.execute(blocked, [pid]).fetchone():
            assert thread.is_alive()
        connection.execute("SELECT pg_terminate_backend(%s::integer)", [pid])
        thread.join(DEADLINE)
    (error,) = errors
    assert isinstance(error, psycopg.OperationalError)
    assert seqs(connection) == []
    assert Appender(connect()).append([event("evt_1")]).appended == 1


@pytest.mark.in_public
def test_a_name_in_the_user_s_schema_does_not_stand_in_the_way(
    any_store_url: str, connection: psycopg.Connection
) -> None:
    connection.execute("CREATE TABLE incoming (theirs int)")
    with closing(database.connect(any_store_url)) as own:
        assert Appender(own).append([event("evt_1")]).appended == 1
    assert connection.execute("SELECT count(*) FROM public.incoming").fetchone() == (0,)


def test_two_appenders_may_follow_each_other_on_one_connection(connect: Connect) -> None:
    own = connect()
    assert Appender(own).append([event("evt_1")]).appended == 1
    assert Appender(own).append([event("evt_2")]).appended == 1


def test_event_ids_are_compared_by_their_bytes(
    connection: psycopg.Connection, appender: Appender
) -> None:
    """Of facts alike in all else the greater id wins: lower case after upper, é after z."""
    names = ["evt_B", "evt_a", "evt_Z", "evt_é", "evt_z", "evt_10", "evt_9"]
    for name in names:
        appender.append([event(name)])
        appender.append([event(name, position="dm_pos_2")])
    winners = connection.execute("SELECT last_event_id FROM positions").fetchall()
    assert winners == [(max(names, key=str.encode),)] * 2


PLANNED_ANEW = "Citus plans each batch for its values"

PROJECTING = "FROM pg_prepared_statements WHERE statement LIKE '%INSERT INTO positions%'"


@pytest.mark.not_on_citus(PLANNED_ANEW)
def test_small_batches_share_a_plan_and_large_ones_do_not(connect: Connect) -> None:
    with closing(connect()) as session:
        appender = Appender(session)
        for n in range(12):
            appender.append([event(f"evt_{n}")])
        plans = f"SELECT generic_plans, custom_plans {PROJECTING}"
        shared, made = session.execute(plans).fetchone() or (0, 0)
        assert shared > 5
        appender.append([event(f"evt_large_{n}") for n in range(1_100)])
        appender.append_snapshots([snapshot()], moment(200))
        appender.append([event("evt_last")])
        assert session.execute(plans).fetchone() == (shared + 1, made + 1)


@pytest.mark.not_on_citus(PLANNED_ANEW)
def test_a_plan_made_for_a_small_log_is_not_kept_for_a_large_one(
    connection: psycopg.Connection, connect: Connect
) -> None:
    with closing(connect()) as session:
        appender = Appender(session)
        appender.append([event(f"evt_{n}") for n in range(3)])
        # As it is where autovacuum came by once, and never again.
        connection.execute("ALTER TABLE events SET (autovacuum_enabled = off)")
        connection.execute("ANALYZE events")
        for n in range(12):
            appender.append([event(f"evt_few_{n}")])
        appender.append([event(f"evt_{n}", position=f"dm_pos_{n}") for n in range(2_000)])
        appender.append([event("evt_last")])
        (name,) = session.execute(f"SELECT name {PROJECTING}").fetchone() or ("",)
        session.execute("SET plan_cache_mode = force_generic_plan")
        plan = session.execute(f"EXPLAIN EXECUTE {name}(1, 2)").fetchall()
        assert "on events" in str(plan)
        assert "Seq Scan on events" not in str(plan)


@pytest.mark.not_on_citus(PLANNED_ANEW)
def test_an_appender_that_sees_only_duplicates_forgets_plans_for_a_small_log_too(
    connection: psycopg.Connection, connect: Connect
) -> None:
    known = [event(f"evt_{n}") for n in range(3)]
    with closing(connect()) as session, closing(connect()) as other:
        appender, faster = Appender(session), Appender(other)
        faster.append(known)
        connection.execute("ALTER TABLE events SET (autovacuum_enabled = off)")
        connection.execute("ANALYZE events")
        for _ in range(12):
            appender.append(known)
        faster.append([event(f"evt_{n}", position=f"dm_pos_{n}") for n in range(2_000)])
        appender.append(known)
        statements = "FROM pg_prepared_statements WHERE statement LIKE '%WITH refused%'"
        (name,) = session.execute(f"SELECT name {statements}").fetchone() or ("",)
        session.execute("SET plan_cache_mode = force_generic_plan")
        plan = session.execute(
            f"EXPLAIN EXECUTE {name}('{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '')"
        ).fetchall()
        assert "on events" in str(plan)
        assert "Seq Scan on events" not in str(plan)


def test_a_batch_looks_at_the_log_before_it_has_rows_in_it(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_0")])

    def read() -> int:
        appender._connection.execute("SELECT pg_stat_force_next_flush()")
        appender._connection.commit()
        connection.execute("SELECT pg_stat_clear_snapshot()")
        (count,) = connection.execute(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'events_seq'"
        ).fetchone() or (0,)
        return int(count)

    before = read()
    appender.append([event(f"evt_{n}", position=f"dm_pos_{n}") for n in range(500)])
    assert read() - before < 1_250  # each twice, to project it
