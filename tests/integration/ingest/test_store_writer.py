"""What the ingester has in hand when the database fails: nothing is lost, nothing there twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from support.factories import event, moment, rejected
from support.waiting import DEADLINE, wait_until

from positionstore.errors import DatabaseUnavailableError
from positionstore.ingest.store_writer import StoreWriter
from positionstore.model.facts import Event, Received, Source
from positionstore.store.database import Store
from positionstore.store.locks import APPEND_LOCK

OUTSIDE = "application_name IS DISTINCT FROM 'the test' AND datname = current_database()"
WAITING = """
    SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""


@pytest.fixture
def desk(store_url: str) -> Iterator[psycopg.Connection]:
    """The database, as the test sees it."""
    with psycopg.connect(store_url, autocommit=True, application_name="the test") as connection:
        yield connection


@pytest.fixture
def writer(store_url: str) -> Iterator[StoreWriter]:
    writer = writer_of(store_url)
    yield writer
    writer.drop()


def writer_of(store_url: str, batch_size: int = 1000) -> StoreWriter:
    return StoreWriter(Store(store_url, embedded=False), batch_size=batch_size, heartbeat_every=5)


@contextmanager
def nobody_commits(desk: psycopg.Connection) -> Iterator[None]:
    with desk.transaction():
        desk.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        yield


def wait_for_committer(desk: psycopg.Connection) -> None:
    wait_until(lambda: desk.execute(WAITING).fetchone() is not None, "a commit waits")


def kill_all(desk: psycopg.Connection) -> None:
    desk.execute("SELECT pg_stat_clear_snapshot()")
    desk.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OUTSIDE}")


def batch(first: int, count: int = 3) -> list[Received]:
    return [
        event(f"evt_{n}", position=f"dm_pos_{n % 5}", at=n) for n in range(first, first + count)
    ]


def logged(desk: psycopg.Connection) -> list[str]:
    return [name for (name,) in desk.execute("SELECT event_id FROM events ORDER BY seq")]


def names(count: int) -> list[str]:
    return [f"evt_{n}" for n in range(count)]


def counts(writer: StoreWriter) -> tuple[int, int, int]:
    count = writer._uncounted
    return count._received, count._duplicates, count._quarantined


def test_a_quiet_stream_is_written_at_once_over_one_connection(
    writer: StoreWriter, desk: psycopg.Connection
) -> None:
    writer.write([], everything=True)
    assert desk.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {OUTSIDE}").fetchone() == (0,)
    for number in range(3):
        writer.write(batch(number, 1), everything=True)
        assert logged(desk) == names(number + 1)
    assert writer.pending == 0
    assert desk.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {OUTSIDE}").fetchone() == (1,)
    assert "commit" not in {thread.name for thread in threading.enumerate()}


def test_more_is_taken_and_staged_while_the_last_is_committed(
    writer: StoreWriter, desk: psycopg.Connection
) -> None:
    with nobody_commits(desk):
        for first in (0, 3, 6):
            writer.write(batch(first), everything=False)
        wait_for_committer(desk)
        assert writer.pending == 9
        assert logged(desk) == []
    writer.write([], everything=True)
    assert writer.pending == 0
    assert logged(desk) == names(9)
    assert counts(writer) == (9, 0, 0)


def test_what_is_pending_has_a_limit(store_url: str, desk: psycopg.Connection) -> None:
    writer = writer_of(store_url, batch_size=6)
    most = 0

    def write() -> None:
        nonlocal most
        for first in range(0, 60, 3):
            writer.write(batch(first), everything=False)
            most = max(most, writer.pending)
        writer.write([], everything=True)

    thread = threading.Thread(target=write)
    with nobody_commits(desk):
        thread.start()
        wait_until(lambda: writer.pending == 9, "two batches and one more")
        wait_for_committer(desk)
    thread.join(DEADLINE)
    writer.drop()
    assert most <= 2 * 6 + 3
    assert logged(desk) == names(60)


@pytest.mark.parametrize("noticed_by", ["the commit", "the staging"])
def test_a_database_that_is_lost_in_mid_pipeline_costs_nothing(
    writer: StoreWriter, desk: psycopg.Connection, noticed_by: str
) -> None:
    # A few are not staged.
    last = batch(9) if noticed_by == "the commit" else batch(9, 300)
    writer.write(batch(0), everything=True)
    with nobody_commits(desk):
        writer.write(batch(3), everything=False)
        wait_for_committer(desk)
        writer.write(batch(6), everything=False)
        kill_all(desk)
        with pytest.raises(psycopg.OperationalError):
            writer.write(last, everything=noticed_by == "the commit")
        assert writer.pending == 6 + len(last)
        assert logged(desk) == names(3)
    writer.write([], everything=True)
    assert writer.pending == 0
    assert logged(desk) == names(9 + len(last))
    assert counts(writer) == (9 + len(last), 0, 0)


def test_what_was_committed_though_nobody_heard_of_it_is_not_there_twice(
    writer: StoreWriter, desk: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = psycopg.Connection.commit
    lost = [True]

    def commit_and_lose(connection: psycopg.Connection) -> None:
        commit(connection)
        if lost and logged(desk):
            lost.clear()
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_lose)
    writer.write(batch(0), everything=False)
    with pytest.raises(psycopg.OperationalError):
        writer.write([], everything=True)
    assert writer.pending == 3
    writer.write(batch(3), everything=True)
    assert logged(desk) == names(6)
    assert desk.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


def test_what_the_database_refuses_is_found_among_all_that_is_pending(
    writer: StoreWriter, desk: psycopg.Connection
) -> None:
    bad = event("evt_bad", source=Source.REST)  # REST brings snapshots alone
    assert isinstance(bad.what, Event)
    with nobody_commits(desk):
        writer.write([*batch(0), bad, *batch(3)], everything=False)
        wait_for_committer(desk)
        writer.write([*batch(6), rejected(b"{")], everything=False)
    writer.write(batch(9), everything=True)
    assert writer.pending == 0
    assert logged(desk) == names(12)
    assert counts(writer) == (14, 0, 2)
    found = desk.execute("SELECT reason, raw FROM quarantine ORDER BY quarantine_id").fetchall()
    assert found == [("refused_by_database", bad.what.envelope), ("not_json", b"{")]


def test_a_fault_of_ours_costs_one_event(writer: StoreWriter, desk: psycopg.Connection) -> None:
    good = event("evt_bad")
    assert isinstance(good.what, Event)
    # A status of half a surrogate pair, as no decoder lets through: staging cannot encode it.
    bad = Event(
        event_id="evt_bad",
        position_id="dm_pos_1",
        type="position.opened",
        status="\ud800",
        created_at=good.what.created_at,
        envelope=good.what.envelope,
    )
    writer.write(
        [*batch(0), rejected(b"{"), Received(bad, moment(100), Source.PARTNER)], everything=True
    )
    assert logged(desk) == names(3)
    assert counts(writer) == (5, 0, 2)
    reasons = desk.execute("SELECT reason FROM quarantine ORDER BY 1").fetchall()
    assert reasons == [("internal_error",), ("not_json",)]


def test_a_database_that_is_lost_while_the_blame_is_sought_costs_nothing(
    writer: StoreWriter, desk: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = event("evt_bad", source=Source.REST)
    connect, opened = Store.connect, [0]

    def connect_until_blamed(store: Store, **how: Any) -> psycopg.Connection:
        opened[0] += 1
        if opened[0] == 2:
            raise DatabaseUnavailableError("gone")
        return connect(store, **how)

    monkeypatch.setattr(Store, "connect", connect_until_blamed)
    with pytest.raises(DatabaseUnavailableError):
        writer.write([*batch(0, 8), bad, *batch(8, 8)], everything=True)
    assert writer.pending == 17
    writer.write([], everything=True)
    assert writer.pending == 0
    assert logged(desk) == names(16)
    assert counts(writer) == (17, 0, 1)


@pytest.mark.parametrize("given_up", [False, True])
def test_an_answer_that_never_comes_is_waited_for_no_longer_than_it_may(
    store_url: str, desk: psycopg.Connection, *, given_up: bool
) -> None:
    writer = StoreWriter(
        Store(store_url, embedded=False),
        batch_size=1000,
        heartbeat_every=5,
        patience=DEADLINE if given_up else 0.1,
    )
    writer.write(batch(0), everything=True)
    errors: list[Exception] = []

    def write() -> None:
        try:
            writer.write(batch(3), everything=True)
        except psycopg.OperationalError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    with nobody_commits(desk):
        thread.start()
        wait_for_committer(desk)
        if given_up:
            writer.abandon()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert len(errors) == 1
    assert (writer.pending, logged(desk)) == (3, names(3))
    writer.drop()
