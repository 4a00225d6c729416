"""Staging during a commit: that it happens, and that an error in either costs nothing."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from support.factories import event
from support.waiting import wait_until

from positionstore.model.facts import Event, Received, Source
from positionstore.store import session
from positionstore.store.appender import Appended
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.pipeline import Pipeline

Connect = Callable[[], psycopg.Connection]

MANY = range(10, 210)
"""The numbers of so many events that they go to the server before the commit."""

WAITING = """
    SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
"""

TAKEN_IN = """
    SELECT bytes_processed FROM pg_stat_progress_copy WHERE datname = current_database()
"""

LONG_COPIES = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%COPY pg_temp.incoming%'
      AND pid <> pg_backend_pid()
      AND state = 'active' AND clock_timestamp() - query_start > interval '600 ms'
"""


@contextmanager
def lock_held(connection: psycopg.Connection) -> Iterator[None]:
    """A commit has to wait."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        yield


def waiting_committer(connection: psycopg.Connection) -> int:
    """The process that waits for the lock, as soon as there is one."""
    found: list[int] = []

    def waits() -> bool:
        found.extend(int(pid) for (pid,) in connection.execute(WAITING))
        return bool(found)

    wait_until(waits, "an appender waits for the lock")
    return found[0]


def wait_until_taken_in(connection: psycopg.Connection, staged: list[Received]) -> None:
    """Wait until the server has the envelopes of events, by a ``COPY`` that goes on."""
    size = sum(len(each.what.envelope) for each in staged if isinstance(each.what, Event))

    def are_there() -> bool:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(TAKEN_IN).fetchone()
        return row is not None and row[0] > size

    wait_until(are_there, f"{size} bytes are staged")


def batch(*numbers: int) -> list[Received]:
    return [event(f"evt_{n}", position=f"dm_pos_{n % 7}", at=n) for n in numbers]


def ids(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT event_id FROM events ORDER BY seq")]


class Line:
    """A pipeline, and what became of what was put into it."""

    def __init__(self, connect: Connect, batch_size: int = 1000, smallest: int = 1) -> None:
        self.connections: list[psycopg.Connection] = []
        self.committed: list[Appended] = []
        self.sizes = iter(lambda: batch_size, 0)
        self.limit = "0"

        def counted() -> psycopg.Connection:
            self.connections.append(connect())
            session.limit(self.connections[-1], {"statement_timeout": self.limit})
            return self.connections[-1]

        self.pipeline = Pipeline(
            counted,
            batch_size=lambda: next(self.sizes),
            smallest=smallest,
            committed=self.committed.append,
        )

    def put(self, *numbers: int) -> None:
        self.pipeline.stage(batch(*numbers))
        self.pipeline.advance()

    @property
    def sent(self) -> list[int]:
        return [result.received for result in self.committed]


@pytest.fixture
def line(connect: Connect) -> Iterator[Line]:
    line = Line(connect)
    with closing(line.pipeline):
        yield line


@pytest.mark.not_on_citus("an appender begins by publishing what another left, in its turn")
def test_the_next_batches_are_staged_while_the_last_waits_to_be_committed(
    line: Line, connection: psycopg.Connection, connect: Connect
) -> None:
    with lock_held(connection):
        line.put(1, 2)
        assert waiting_committer(connection)
        line.put(3)
        line.put(*MANY)
        wait_until_taken_in(connection, batch(3, *MANY))
        assert line.committed == []
    line.pipeline.finish()
    assert line.sent == [2, 1 + len(MANY)]
    assert ids(connection) == [f"evt_{n}" for n in (1, 2, 3, *MANY)]


def test_what_is_staged_is_handed_over_when_the_commit_before_is_done(
    line: Line, connection: psycopg.Connection
) -> None:
    line.put(1)
    while len(line.committed) < 3:
        line.put(2, 3)
    line.pipeline.finish()
    assert set(ids(connection)) == {"evt_1", "evt_2", "evt_3"}
    assert len(line.connections) == 2


def test_whoever_finishes_needs_no_second_connection(
    line: Line, connection: psycopg.Connection
) -> None:
    for number in range(3):
        line.pipeline.stage(batch(number))
        line.pipeline.finish()
    line.pipeline.finish()
    assert line.sent == [1, 1, 1]
    assert len(line.connections) == 1
    assert ids(connection) == ["evt_0", "evt_1", "evt_2"]


def test_few_wait_for_more_and_the_size_is_asked_for_each_transaction(
    connect: Connect, connection: psycopg.Connection
) -> None:
    line = Line(connect, smallest=1000)
    line.sizes = iter([2, 4, 1])
    with closing(line.pipeline):
        for number in range(7):
            line.put(number)
        line.pipeline.finish()
    assert line.sent == [2, 4, 1]
    assert len(ids(connection)) == 7


def test_rows_may_come_for_longer_than_a_statement_may_take(
    line: Line, connection: psycopg.Connection
) -> None:
    line.limit = "500ms"
    line.pipeline.stage(batch(*MANY))

    def has_lasted() -> bool:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        return connection.execute(LONG_COPIES).fetchone() == (1,)

    wait_until(has_lasted, "a COPY lasts for longer than a statement may")
    line.pipeline.finish()
    assert line.sent == [len(MANY)]


def test_what_puts_them_into_the_log_may_take_no_longer_than_any_statement(
    line: Line, connection: psycopg.Connection
) -> None:
    line.limit = "500ms"
    line.pipeline.stage(batch(*MANY))
    with connection.transaction():
        connection.execute("LOCK TABLE events")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            line.pipeline.finish()
    assert ids(connection) == []


@pytest.mark.not_on_citus("an appender begins by publishing what another left, in its turn")
def test_a_commit_that_fails_in_the_background_is_heard_of_and_nothing_is_half_done(
    line: Line, connect: Connect, connection: psycopg.Connection
) -> None:
    with lock_held(connection):
        line.put(1, 2)
        victim = waiting_committer(connection)
        line.put(3)
        connection.execute("SELECT pg_terminate_backend(%s)", [victim])
        with pytest.raises(psycopg.OperationalError):
            line.pipeline.finish()
    line.pipeline.close()
    assert line.committed == []
    assert ids(connection) == []
    with closing((again := Line(connect)).pipeline):
        again.put(1, 2)
        again.put(3)
        again.pipeline.finish()
    assert ids(connection) == ["evt_1", "evt_2", "evt_3"]


def test_what_is_under_way_is_awaited_in_the_end_and_what_is_staged_is_forgotten(
    line: Line, connection: psycopg.Connection
) -> None:
    line.put(1, 2)
    line.pipeline.stage(batch(3))
    line.pipeline.close()
    assert line.sent == [2]
    assert ids(connection) == ["evt_1", "evt_2"]
    assert all(own.closed for own in line.connections)


@pytest.mark.not_on_citus("an appender begins by publishing what another left, in its turn")
def test_a_batch_that_cannot_be_staged_spoils_none_that_is_under_way(
    line: Line, connection: psycopg.Connection
) -> None:
    with lock_held(connection):
        line.put(1, 2)
        waiting_committer(connection)
        line.put(3)
        connection.execute(
            "SELECT pg_terminate_backend(%s)", [line.connections[1].info.backend_pid]
        )
        with pytest.raises(psycopg.OperationalError):
            line.put(*MANY)
    line.pipeline.close()
    assert line.sent == [2]
    assert ids(connection) == ["evt_1", "evt_2"]


def test_a_fact_that_is_refused_takes_its_own_transaction_back_only(
    line: Line, connection: psycopg.Connection
) -> None:
    line.put(1, 2)
    line.pipeline.finish()
    line.pipeline.stage([*batch(3), event("evt_x", source=Source.REST)])  # REST: snapshots alone
    with pytest.raises(psycopg.errors.CheckViolation):
        line.pipeline.finish()
    line.pipeline.close()
    assert ids(connection) == ["evt_1", "evt_2"]
