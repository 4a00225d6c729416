"""The log as a feed: each fact exactly once, in order, while writers write."""

import threading
from collections.abc import Callable
from itertools import islice

import psycopg
from support.factories import event

from positionstore.store.appender import Appender
from positionstore.store.feed import PAGE, before_the_newest, pages_after

Connect = Callable[[], psycopg.Connection]
LATE = 60.0


def test_each_fact_comes_once_and_in_order_while_writers_write(connect: Connect) -> None:
    writers, batches, size = 3, 12, 7
    wanted = writers * batches * size
    found: list[int] = []

    def read() -> None:
        seen = 0
        for page in pages_after(reader, 0, follow=True, poll=0.05):
            found.extend(fact.seq for fact in page)
            seen += len(page)
            if seen >= wanted:
                return

    def write(name: int) -> None:
        appender = Appender(connections[name])
        for batch in range(batches):
            appender.append([event(f"e{name}-{batch}-{place}") for place in range(size)])

    reader, connections = connect(), [connect() for _ in range(writers)]
    threads = [threading.Thread(target=write, args=[name]) for name in range(writers)]
    threads.append(threading.Thread(target=read, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LATE)
    with connect() as connection:
        logged = connection.execute("SELECT seq FROM events ORDER BY seq").fetchall()
    assert found == [seq for (seq,) in logged]
    assert len(found) == wanted


def test_a_batch_is_announced_and_need_not_be_polled_for(
    connect: Connect, appender: Appender
) -> None:
    reader, found = connect(), list[str]()

    def read() -> None:
        (page,) = islice(pages_after(reader, 0, follow=True, poll=10 * LATE), 1)
        found.extend(fact.event_id for fact in page)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query LIKE '%%events_after%%'"
    observer = connect()
    while not observer.execute(
        waiting + " AND state = 'idle'", [reader.info.backend_pid]
    ).fetchone():
        assert thread.is_alive()
    appender.append([event("e1")])
    thread.join(LATE)
    assert found == ["e1"]


def test_what_there_is_comes_in_pages_and_ends(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event(f"e{place}") for place in range(PAGE + 1)])
    pages = list(pages_after(connection, 0, follow=False))
    assert [len(page) for page in pages] == [PAGE, 1]
    assert list(pages_after(connection, pages[1][0].seq, follow=False)) == []


def test_it_begins_with_the_newest(connection: psycopg.Connection, appender: Appender) -> None:
    assert before_the_newest(connection, 10) == 0
    appender.append([event(f"e{place}") for place in range(5)])
    for number, wanted in ((0, []), (2, ["e3", "e4"]), (9, [f"e{place}" for place in range(5)])):
        pages = pages_after(connection, before_the_newest(connection, number), follow=False)
        assert [fact.event_id for page in pages for fact in page] == wanted


def test_events_after_stops_at_its_limit(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event(f"e{place}") for place in range(3)])
    rows = connection.execute("SELECT event_id FROM events_after(0, 2)").fetchall()
    assert rows == [("e0",), ("e1",)]
