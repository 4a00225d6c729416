"""Appenders side by side, and readers who follow the log meanwhile."""

import random
import threading
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from support.factories import event, rejected

from positionstore.model.facts import Received
from positionstore.store.appender import Appended, Appender

Connect = Callable[[], psycopg.Connection]

UNPROJECTED = """
    SELECT e.position_id FROM events e
    WHERE NOT EXISTS (
        SELECT FROM positions p
        WHERE p.position_id = e.position_id AND p.last_event_at >= e.created_at
    )
    LIMIT 1
"""


def append_all(
    appender: Appender, parts: list[list[Received]], outcomes: list[Appended] | None = None
) -> None:
    done = [appender.append(part) for part in parts]
    if outcomes is not None:
        outcomes += done


class Crew:
    """Threads whose errors come back to the test."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []

    def start(self, work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to the test
                self.errors.append(error)

        thread = threading.Thread(target=run)
        self.threads.append(thread)
        thread.start()
        return thread

    def join(self) -> None:
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]


def batches(appender: int, count: int, size: int) -> list[list[Received]]:
    """Batches whose events shuffle over shared positions; their times only ever rise."""
    rng = random.Random(appender)
    return [
        [
            event(
                f"evt_{appender}_{number}_{index}",
                position=f"dm_pos_{rng.randrange(40)}",
                at=number * size + index,
            )
            for index in range(size)
        ]
        for number in range(count)
    ]


@pytest.mark.not_on_citus("a reader goes up to the watermark, by events_after")
def test_a_reader_who_remembers_the_last_seq_misses_nothing(connect: Connect) -> None:
    """Three appenders and one tailing reader: what commits later never has a smaller seq."""
    crew = Crew()
    appenders = 3
    for number in range(appenders):
        work = batches(number, count=25, size=20)
        appender = Appender(connect())
        crew.start(partial(append_all, appender, work))
    reader = connect()
    seen: list[int] = []
    reads = 0
    while len(seen) < appenders * 25 * 20:
        alive = any(thread.is_alive() for thread in crew.threads)
        rows = reader.execute(
            "SELECT seq FROM events WHERE seq > %s ORDER BY seq", [seen[-1] if seen else 0]
        ).fetchall()
        seen += [seq for (seq,) in rows]
        reads += bool(rows)
        if not alive and not rows:
            break
    crew.join()
    everything = reader.execute("SELECT seq FROM events ORDER BY seq").fetchall()
    assert [(seq,) for seq in seen] == everything
    assert len(seen) == appenders * 25 * 20
    assert reads > 3  # it did read meanwhile


def test_an_open_transaction_holds_nobody_up_until_it_has_numbers(connect: Connect) -> None:
    """One appender has staged and not committed: others pass it, and its facts come after."""
    slow, fast, reader = Appender(connect()), Appender(connect()), connect()
    slow.stage([event("evt_slow")])
    assert fast.append([event("evt_fast", at=1)]).last_seq == 1
    assert reader.execute("SELECT event_id FROM events WHERE seq > 0").fetchall() == [("evt_fast",)]
    assert slow.commit().last_seq == 2
    assert reader.execute("SELECT event_id FROM events WHERE seq > 1").fetchall() == [("evt_slow",)]


def test_an_appender_with_numbers_lets_no_other_commit_before_it(connect: Connect) -> None:
    """Stopped between its insert and its commit, an appender holds back the next."""
    inside, reader = connect(), connect()
    first, second = Appender(inside), Appender(connect())
    gate = connect()
    crew = Crew()
    with gate.transaction():
        gate.execute("LOCK TABLE positions IN EXCLUSIVE MODE")  # stops it at the projection
        one = crew.start(lambda: first.append([event("evt_1")]))
        waits = (
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE datname = current_database() AND NOT granted AND locktype = %s"
        )
        while reader.execute(waits, ["relation"]).fetchone() != (1,):
            assert one.is_alive()
        two = crew.start(lambda: second.append([event("evt_2", position="dm_pos_2")]))
        while reader.execute(waits, ["advisory"]).fetchone() != (1,):
            assert two.is_alive()
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
    crew.join()
    rows = reader.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()
    assert rows == [(1, "evt_1"), (2, "evt_2")]


def test_nobody_sees_an_event_without_its_projection(connect: Connect) -> None:
    crew = Crew()
    for number in range(2):
        work = batches(number, count=30, size=10)
        appender = Appender(connect())
        crew.start(partial(append_all, appender, work))
    reader = connect()
    looks = 0
    while any(thread.is_alive() for thread in crew.threads):
        assert reader.execute(UNPROJECTED).fetchone() is None
        looks += 1
    crew.join()
    assert looks > 3
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (600,)


def test_two_that_append_the_same_append_it_once(connect: Connect) -> None:
    """Two ingesters side by side hear the same stream, in other batches and another order."""
    crew = Crew()
    outcomes: list[Appended] = []
    for size in (7, 11):
        facts = [event(f"evt_{n}", position=f"dm_pos_{n % 13}", at=n) for n in range(300)]
        random.Random(size).shuffle(facts)
        appender = Appender(connect())

        parts = [[*facts[n : n + size], rejected(b"x")] for n in range(0, len(facts), size)]
        crew.start(partial(append_all, appender, parts, outcomes))
    crew.join()
    assert sum(outcome.appended for outcome in outcomes) == 300
    assert sum(outcome.duplicates for outcome in outcomes) == 300
    reader = connect()
    assert reader.execute("SELECT count(*), count(DISTINCT seq) FROM events").fetchone() == (
        300,
        300,
    )
    assert reader.execute("SELECT count(*) FROM quarantine").fetchone() == (1,)
    assert reader.execute(UNPROJECTED).fetchone() is None


def test_a_serializable_default_is_no_hindrance(connect: Connect) -> None:
    connect().execute("""DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET
        default_transaction_isolation = serializable', current_database()); END $$""")
    crew = Crew()
    appenders = [Appender(connect()) for _ in range(2)]
    for number, appender in enumerate(appenders):
        work = batches(number, count=10, size=5)
        crew.start(partial(append_all, appender, work))
    crew.join()
    assert connect().execute("SELECT count(*) FROM events").fetchone() == (100,)
