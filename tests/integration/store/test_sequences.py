"""Numbers go on after those in use, also where a sequence has begun again at 1."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from support.factories import event, moment, rejected, snapshot
from support.postgres import ON_CITUS, OWN_FUNCTIONS
from support.roles import Urls, connected, roles_on

from positionstore.errors import StoreRefusedError
from positionstore.model.facts import Retraction, Source
from positionstore.store import backfills, database, migrations, retractions, sequences
from positionstore.store import runs as reconciliation
from positionstore.store.appender import Appended, Appender
from positionstore.store.batch_writer import BatchWriter
from positionstore.store.db_errors import ErrorAction, classify
from positionstore.store.feed import pages_after
from positionstore.store.grants import Role
from positionstore.store.projection import verify
from positionstore.store.sessions import StreamSession

TABLES = ["backfills", "events", "quarantine", "reconciliation_runs", "stream_sessions"]


def fill(connection: psycopg.Connection, times: int = 3) -> None:
    """Draw some numbers of each sequence, through the doors that the store has."""
    for number in range(times):
        StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(number))
        begin_run(connection, number)
        begin_backfill(connection, number)
    with closing(database.connect(url_of(connection))) as another:
        appender = Appender(another)
        for number in range(times):
            appender.append([event(f"evt_{number}"), rejected(b"{" * (number + 1))])


def url_of(connection: psycopg.Connection) -> str:
    return f"{connection.info.dsn} password={connection.info.password}"


def begin_run(connection: psycopg.Connection, at: float) -> int:
    return reconciliation.begin_run(
        connection,
        trigger="command",
        scope="full",
        closed_since=None,
        closed_until=None,
        started_at=moment(at),
    )


def begin_backfill(connection: psycopg.Connection, at: float) -> int:
    return backfills.begin(
        connection, what="all", since=None, until=None, started_at=moment(at), at=moment(at)
    )


def begin_again(connection: psycopg.Connection, at: int = 1) -> None:
    """Leave the sequences as a cut-over by logical replication does."""
    for table in TABLES:
        connection.execute(
            "SELECT setval(pg_get_serial_sequence(%s, %s), %s, false)",
            [table, sequences._COLUMNS[table], at],
        )


def seqs(connection: psycopg.Connection) -> list[int]:
    return [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]


def newest(connection: psycopg.Connection, table: str) -> int:
    (found,) = (each for each in sequences.numbers(connection) if each.table == table)
    return found.newest


@pytest.fixture
def urls(any_store_url: str) -> Iterator[Urls]:
    with roles_on(any_store_url) as urls:
        yield urls


def test_each_number_that_a_sequence_gives_is_looked_after(connection: psycopg.Connection) -> None:
    found = connection.execute("""
        SELECT relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE relnamespace = current_schema()::regnamespace
          AND (attidentity <> '' OR pg_get_serial_sequence(quote_ident(relname), attname) <> '')
          AND relkind = 'r' AND attnum > 0
        ORDER BY relname
    """).fetchall()
    assert [name for (name,) in found] == TABLES == sorted(sequences._COLUMNS)


@pytest.mark.not_on_citus("no key is unique without the position: the lock sees to it")
def test_the_keys_of_these_columns_are_known_by_name(connection: psycopg.Connection) -> None:
    found = connection.execute("""
        SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
        WHERE x.indisunique AND x.indnatts = 1 AND a.attidentity <> ''
    """).fetchall()
    assert {name for (name,) in found} == sequences._KEYS


def test_where_nothing_is_behind_nothing_happens(connection: psycopg.Connection) -> None:
    assert sequences.align(connection) == []
    fill(connection)
    before = sequences.numbers(connection)
    assert sequences.align(connection) == []
    assert sequences.numbers(connection) == before
    assert [each.table for each in before] == TABLES


def test_a_reader_who_remembers_a_seq_misses_nothing(
    connection: psycopg.Connection, any_store_url: str
) -> None:
    fill(connection)
    remembered = seqs(connection)[-1]
    begin_again(connection)
    with closing(database.connect(any_store_url)) as another:
        appended = Appender(another).append([event("evt_new", at=5)])
    assert appended.last_seq == remembered + 1
    pages = pages_after(connection, remembered, follow=False)
    assert [fact.event_id for page in pages for fact in page] == ["evt_new"]
    assert list(verify(connection)) == []


def test_every_table_goes_on(connection: psycopg.Connection) -> None:
    fill(connection)
    begin_again(connection)
    assert sorted(sequences.align(connection)) == TABLES
    assert sequences.align(connection) == []


def test_who_begins_something_needs_no_appender_first(connection: psycopg.Connection) -> None:
    fill(connection)
    before = {table: newest(connection, table) for table in TABLES}
    begin_again(connection)
    begun = StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(9))
    assert begun.session_id == before["stream_sessions"] + 1
    begin_again(connection)
    assert begin_run(connection, 9) == before["reconciliation_runs"] + 1
    begin_again(connection)
    assert begin_backfill(connection, 9) == before["backfills"] + 1
    begin_again(connection)
    change = retractions.apply(connection, [of_evt_1()], moment(9))
    assert change.appended == 1
    assert seqs(connection)[-1] == before["events"] + 1


def test_a_connection_without_autocommit_is_left_as_it_was(
    connection: psycopg.Connection, any_store_url: str
) -> None:
    fill(connection)
    with closing(psycopg.connect(any_store_url)) as another:
        appender = Appender(another)
        begin_again(connection)
        assert appender.append_retractions([of_evt_1()], moment(9)).appended == 1
        assert another.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    assert len(seqs(connection)) == 4


def of_evt_1() -> Retraction:
    return Retraction("dm_pos_1", "evt_1", "wrong", moment(8))


def test_migrate_says_what_it_put_right(connection: psycopg.Connection, any_store_url: str) -> None:
    fill(connection)
    begin_again(connection)
    said: list[str] = []
    migrations.migrate(any_store_url, say=said.append)
    assert [line for line in said if "The numbers of events began again" in line]
    assert sequences.align(connection) == []
    said.clear()
    migrations.migrate(any_store_url, say=said.append)
    assert said == []


@pytest.mark.parametrize("at", [1, 2])
def test_a_sequence_that_falls_behind_while_an_appender_works(
    connection: psycopg.Connection, appender: Appender, at: int
) -> None:
    """By a number that is in use, and by one that was skipped: 2 is drawn by a duplicate."""
    appender.append([event("evt_1")])
    appender.append([event("evt_1")])
    appender.append([event("evt_2")])
    assert seqs(connection) == [1, 3]
    begin_again(connection, at)
    assert appender.append([event("evt_3"), rejected()]).appended == 1
    assert seqs(connection) == [1, 3, 4]
    begin_again(connection, at)
    assert appender.append_snapshots([snapshot(as_of=9)], moment(10)).appended == 1
    assert seqs(connection) == [1, 3, 4, 5]


@pytest.mark.parametrize("at", [1, 2])
def test_no_event_is_put_aside_for_a_number(
    connection: psycopg.Connection, any_store_url: str, at: int
) -> None:
    committed: list[Appended] = []
    writing = BatchWriter(
        lambda: database.connect(any_store_url), batch_size=lambda: 10, committed=committed.append
    )
    for name in ("evt_1", "evt_1", "evt_2"):
        writing.take([event(name)])
        writing.write(everything=True)
    begin_again(connection, at)
    writing.take([event("evt_3"), event("evt_4")])
    with pytest.raises(sequences.NumbersBehindError) as refused:
        writing.write(everything=True)
    assert classify(refused.value) is ErrorAction.RETRY
    writing.write(everything=True)
    writing.drop()
    assert seqs(connection) == [1, 3, 4, 5]
    assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


@pytest.mark.not_on_citus("no key is unique without the position: the lock sees to it")
def test_no_two_facts_share_a_seq(connection: psycopg.Connection, appender: Appender) -> None:
    appender.append([event("evt_1")])
    with pytest.raises(psycopg.errors.UniqueViolation, match="events_seq") as refused:
        connection.execute("""
            INSERT INTO events (seq, event_id, position_id, type, created_at, received_at, source,
                envelope)
            OVERRIDING SYSTEM VALUE
            SELECT seq, 'evt_2', position_id, type, created_at, received_at, source, envelope
            FROM events
        """)
    assert classify(refused.value) is ErrorAction.RETRY


# --- a role that may not set a sequence ------------------------------------------------------


def test_the_writer_draws_until_it_has_caught_up(urls: Urls) -> None:
    with connected(urls[Role.OWNER]) as owner, connected(urls[Role.WRITER]) as writer:
        appender = Appender(writer)
        for number in range(50):
            appender.append([event(f"evt_{number % 40}"), rejected(b"{" * (number + 1))])
        before = seqs(owner)
        begin_again(owner)
        with connected(urls[Role.WRITER]) as another:
            appended = Appender(another).append([event("evt_new")])
        assert appended.last_seq is not None
        assert appended.last_seq > before[-1]
        assert seqs(owner) == [*before, appended.last_seq]
        assert list(verify(owner)) == []


def test_the_writer_goes_on_beside_the_log(urls: Urls) -> None:
    with connected(urls[Role.OWNER]) as owner, connected(urls[Role.WRITER]) as writer:
        for number in range(5):
            StreamSession.begin(writer, gateway=Source.PARTNER, at=moment(number))
            begin_run(writer, number)
            begin_backfill(writer, number)
            Appender(owner).append([event(f"evt_{number}"), rejected(b"{" * (number + 1))])
            owner.autocommit = True
        before = {table: newest(owner, table) for table in TABLES}
        begin_again(owner)
        begun = StreamSession.begin(writer, gateway=Source.PARTNER, at=moment(9))
        assert begun.session_id > before["stream_sessions"]
        assert begin_run(writer, 9) > before["reconciliation_runs"]
        assert begin_backfill(writer, 9) > before["backfills"]
        assert retractions.apply(writer, [of_evt_1()], moment(9)).appended == 1
        assert Appender(writer).append([rejected(b"[")]).quarantined == 1
        assert all(newest(owner, table) > before[table] for table in TABLES)
        assert sequences.align(owner) == []


@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_too_far_for_the_writer_is_said_in_one_line(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "DRAWN_AT_MOST", 20)
    with connected(urls[Role.OWNER]) as owner, connected(urls[Role.WRITER]) as writer:
        fill(owner, times=60)
        begin_again(owner)
        with pytest.raises(StoreRefusedError, match=r"Run `positionstore migrate` as the owner"):
            Appender(writer).append([event("evt_new")])
    migrations.migrate(urls[Role.OWNER])
    with connected(urls[Role.WRITER]) as writer:
        assert Appender(writer).append([event("evt_new")]).appended == 1


def test_a_role_that_may_look_and_not_set(urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(urls[Role.OWNER]) as owner, connected(urls[Role.WRITER]) as writer:
        fill(owner, times=60)
        name = writer.info.user
        owner.execute(f"GRANT SELECT ON SEQUENCE events_seq_seq TO {name}".encode())
        begin_again(owner)
        with monkeypatch.context() as patched:
            patched.setattr(sequences, "DRAWN_AT_MOST", 20)
            with pytest.raises(StoreRefusedError, match=r"events\.seq"):
                Appender(writer)
        # Of quarantine the writer may draw on Citus, and so align it too.
        of_citus = ["quarantine"] if ON_CITUS else []
        assert sequences.align(writer) == ["events", *of_citus]
        assert Appender(writer).append([event("evt_new")]).last_seq == 61
