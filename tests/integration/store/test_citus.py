"""A store on Citus, on the coordinator that ``POSITIONSTORE_TEST_CITUS_URL`` names.

No package of the registries has Citus, so that where the variable names none these tests are left
out, and say so. Each test gets a schema of its own in that database, which needs the extension, two
workers at least, and a superuser. ``POSITIONSTORE_TEST_CITUS_SPARE`` names one more server, as
``host:port``, that has the extension in a database of that name and is no worker yet.
``POSITIONSTORE_TEST_CITUS_KILL`` and ``POSITIONSTORE_TEST_CITUS_START`` are commands that kill a
worker's postmaster, as ``kill -9`` does, and start that server again.
"""

import os
import shlex
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from support import histories
from support.factories import envelope, event, moment, received, snapshot
from support.old_positions import CUT, LATER, facts, files, fill
from support.waiting import wait_until

from positionstore.export.archive import archive
from positionstore.importer import archive_check
from positionstore.importer.archives import bring_back
from positionstore.model.facts import Received, Retraction
from positionstore.store import checks, citus, database, differing, migrations, projection
from positionstore.store import retractions as retracting
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.db_errors import ErrorAction, classify
from positionstore.store.feed import pages_after
from positionstore.store.read import query
from positionstore.store.status import status

VARIABLE = "POSITIONSTORE_TEST_CITUS_URL"
SPARE = "POSITIONSTORE_TEST_CITUS_SPARE"
KILL, START = "POSITIONSTORE_TEST_CITUS_KILL", "POSITIONSTORE_TEST_CITUS_START"
LATE = 120.0

NOW_AND_THEN = ("12:00:30", "13:30", "16:00")
"""Moments of the first of July 2026, UTC."""

OF_ALL = (
    "position_lifecycle",
    "position_timeline",
    "position_size_changes",
    "closed_positions",
    "daily_activity",
    "retractions",
    "positions_known_at()",
    "positions_as_of('infinity')",
)
OF_A_MOMENT = (
    "positions_as_of({at})",
    "positions_as_of('infinity', {at})",
    "facts_as_of({at}, {at})",
    "positions_known_at({at})",
    "positions_valid_at({at})",
    "positions_valid_at('infinity', {at})",
    "book_at(ARRAY[{at}], {at})",
    "book_changes({at}, 'infinity')",
    "activity_by_day('2026-06-30', '2026-07-03', known_time => {at})",
    "end_of_day_book('2026-06-30', '2026-07-03', known_time => {at})",
    "fee_accrual('2026-06-30', '2026-07-03', known_time => {at})",
    "partner_revenue('2026-06-30', '2026-07-03', known_time => {at})",
    "pnl_attribution('2026-06-30', '2026-07-03', known_time => {at})",
    "cohort_survival('2026-06-30', '2026-07-03', known_time => {at})",
)
UNWINDS = """
    INSERT INTO position_sub_resources (position_id, resource, asked_at, is_final, body)
    SELECT
        position_id, 'unwinds', now(), true, '{"data": [
            {"executed_at": "2026-07-01T12:00:20Z", "reason": "far", "after_leverage_bps": 20000},
            {"executed_at": "2026-07-01T12:00:50Z", "reason": "near", "after_leverage_bps": 10000}
        ]}'
    FROM positions
"""
"""The vendor's list of the unwinds of each position."""

PAST = [
    *OF_ALL,
    *(
        asked.format(at=f"timestamptz '2026-07-01 {at}Z'")
        for asked in OF_A_MOMENT
        for at in NOW_AND_THEN
    ),
]
"""What analysts ask of the past."""

Connect = Callable[[], psycopg.Connection]

pytestmark = pytest.mark.skipif(
    VARIABLE not in os.environ, reason=f"{VARIABLE} names no coordinator of Citus"
)


@contextmanager
def fresh_store() -> Iterator[Connect]:
    """Yield what opens connections to a fresh schema with a store that is not spread yet."""
    url, schema = os.environ[VARIABLE], f"t_{uuid.uuid4().hex[:12]}"
    migrations.migrate(url, schema=schema)
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(database.connect(url, schema=schema)))
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("SET client_min_messages = error")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens connections to a fresh schema with a store that is not spread yet."""
    with fresh_store() as connect:
        yield connect


@pytest.fixture
def connect_other() -> Iterator[Connect]:
    """The same to another one."""
    with fresh_store() as connect:
        yield connect


def spread(connect: Connect) -> psycopg.Connection:
    """Spread the store over the workers; return a connection to it."""
    lines = [*citus.distribute(connect())]
    assert len(lines) == len(citus.COPIED) + len(citus.SPREAD)
    return connect()


def shown(connection: psycopg.Connection) -> tuple[str, str]:
    """Return the status of the one position, and the fact that its row shows."""
    found = retracting.state(connection, "dm_pos_1")
    return (found.status, found.last_event_id) if found else ("", "")


def some_events(number: int, *, positions: int = 7) -> list[Received]:
    """Events of some positions, each closed in the end."""
    return [
        event(
            f"e{place}",
            position=f"p{place % positions}",
            status="closed" if place >= number - positions else "open",
            kind="position.closed" if place >= number - positions else "position.opened",
            at=place,
        )
        for place in range(number)
    ]


def a_past(*, positions: int) -> list[histories.Batch]:
    """Snapshots, retractions, ties and late facts of some positions, as received hour by hour."""
    random = Random(16)
    facts = sorted(
        (
            (histories.NOON + timedelta(hours=random.randint(0, 3)), each)
            for each in histories.book(random, positions)
        ),
        key=lambda received: received[0],
    )
    return [
        batch
        for received_at, some in groupby(facts, key=itemgetter(0))
        for batch in histories.in_batches(
            [replace(each, received_at=received_at) for _, each in some], len(facts)
        )
    ]


@contextmanager
def a_worker_more(connection: psycopg.Connection) -> Iterator[None]:
    """Make the spare server a worker that has its part of the shards; then as before.

    A connection of its own, for Citus keeps the one on which it told the server what to set.
    """
    host, _, port = os.environ[SPARE].rpartition(":")
    connection.execute("SELECT citus_add_node(%s, %s)", [host, int(port)])
    try:
        connection.execute("SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')")
        yield
    finally:
        connection.execute("SELECT citus_drain_node(%s, %s, 'block_writes')", [host, int(port)])
        connection.execute("SELECT citus_remove_node(%s, %s)", [host, int(port)])


class Traffic:
    """One that writes and one that reads, and both try again what failed."""

    BATCHES = 60
    SIZE = 40

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.written = 0
        self.told: list[int] = []
        self.failed: list[ErrorAction] = []

    def write(self) -> None:
        """Append all batches, one after the other."""
        for _ in range(self.BATCHES):
            self._until_it_works(self._append)

    def read(self) -> None:
        """Read the feed until all was told."""
        while len(self.told) < self.BATCHES * self.SIZE:
            self._until_it_works(self._follow)

    def wait_for_batches(self, number: int) -> None:
        wait_until(lambda: self.written >= number, f"{number} batches", LATE)

    def wait_for_failures(self, number: int) -> None:
        wait_until(lambda: len(self.failed) >= number, f"{number} failures", LATE)

    def wait_for_readers(self) -> None:
        wait_until(lambda: len(self.told) >= self.BATCHES * self.SIZE, "all is told", LATE)

    def _append(self, connection: psycopg.Connection) -> None:
        batch = self.written
        Appender(connection).append(
            [event(f"e{batch}-{n}", position=f"p{batch * n % 97}", at=n) for n in range(self.SIZE)]
        )
        self.written += 1

    def _follow(self, connection: psycopg.Connection) -> None:
        for page in pages_after(connection, self.told[-1] if self.told else 0, follow=False):
            self.told.extend(fact.seq for fact in page)

    def _until_it_works(self, work: Callable[[psycopg.Connection], None]) -> None:
        while True:
            try:
                with closing(self.connect()) as connection:
                    return work(connection)
            except psycopg.Error as error:
                self.failed.append(classify(error))
                time.sleep(0.1)  # as the service waits before it tries again


def run(command: str) -> None:
    """Run what the environment names."""
    subprocess.run(shlex.split(command), check=True, timeout=LATE)


def answers(connection: psycopg.Connection, asked: LiteralString) -> list[tuple[object, ...]]:
    """Return all rows of a view or function, as text and in order."""
    return connection.execute(sql.SQL(f"SELECT t::text FROM {asked} t ORDER BY 1")).fetchall()


def rows_of(connection: psycopg.Connection, name: str) -> list[tuple[object, ...]]:
    """Return all rows of a table or view, as text and in order."""
    return connection.execute(
        sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(name))
    ).fetchall()


def test_a_standing_store_is_spread_with_all_that_it_has(connect: Connect) -> None:
    Appender(connect()).append(some_events(50))
    before = {name: rows_of(connect(), name) for name in ("events", "positions")}
    connection = spread(connect)
    assert {name: rows_of(connection, name) for name in before} == before
    assert [*citus.distribute(connection)] == []
    assert projection.verify(connection) == []


def test_the_same_positions_come_of_it_as_of_one_server(
    connect: Connect, connect_other: Connect
) -> None:
    batches = [some_events(40), some_events(60), some_events(60, positions=9)]
    plain = Appender(connect())
    told = [plain.append(batch) for batch in batches]
    expected = rows_of(connect(), "positions")
    connection = spread(connect_other)
    appender = Appender(connect_other())
    assert [appender.append(batch) for batch in batches] == told
    assert rows_of(connection, "positions") == expected
    assert projection.verify(connection) == []


def test_the_past_is_told_as_on_one_server(connect: Connect, connect_other: Connect) -> None:
    batches = a_past(positions=60)
    connection = spread(connect_other)
    for appender in (Appender(connect()), Appender(connect_other())):
        for batch in batches:
            batch.append(appender)
    plain = connect()
    connection.execute(UNWINDS)
    plain.execute(UNWINDS)
    different = [asked for asked in PAST if answers(connection, asked) != answers(plain, asked)]
    assert different == []


@pytest.mark.skipif(SPARE not in os.environ, reason=f"{SPARE} names no server to be added")
def test_the_same_positions_after_a_worker_was_added(connect: Connect) -> None:
    connection = spread(connect)
    appender = Appender(connect())
    for batch in a_past(positions=60):
        batch.append(appender)
    before = {asked: answers(connection, asked) for asked in ("events", "positions", *OF_ALL)}
    workers = len(citus.shards(connection))
    with a_worker_more(connect()):
        assert len(citus.shards(connection)) == workers + 1
        assert {asked: answers(connection, asked) for asked in before} == before
        assert projection.verify(connection) == []
        appender.append(some_events(20))
        assert projection.verify(connection) == []


def test_snapshots_retractions_and_their_retractions_are_folded(connect: Connect) -> None:
    connection = spread(connect)
    appender = Appender(connect())
    appender.append([event("e1", at=1), event("e2", status="closed", at=2)])
    appender.append_snapshots([snapshot(status="open", as_of=500)], moment(501))
    assert shown(connection)[0] == "open"
    (of_snapshot,) = connection.execute(
        "SELECT event_id FROM events WHERE supersedes_before IS NOT NULL"
    ).fetchone() or ("",)
    one = Retraction("dm_pos_1", of_snapshot, "a wrong clock", moment(600))
    change = retracting.apply(connection, [one], moment(600))
    assert change.after is not None
    assert change.after.last_event_id == "e2"
    assert retracting.standing(connection, "dm_pos_1", of_snapshot) == [one.event_id]
    other = Retraction("dm_pos_1", one.event_id, "it was right", moment(601))
    change = retracting.apply(connection, [other], moment(601))
    assert change.after is not None
    assert change.after.last_event_id == of_snapshot
    # What comes later is folded by workers, which have to know what stands.
    appender.append([event("e3", at=490), event("e4", status="closed", at=700)])
    assert shown(connection)[1] == "e4"
    assert projection.verify(connection) == []


def test_the_same_id_with_another_content_goes_to_quarantine(connect: Connect) -> None:
    connection = spread(connect)
    appender = Appender(connect())
    appender.append([event("e1"), event("e2")])
    done = appender.append([event("e1"), received(envelope("e2", status="closed")), event("e3")])
    assert (done.appended, done.duplicates, done.quarantined) == (1, 1, 1)
    assert connection.execute("SELECT reason FROM quarantine").fetchall() == [
        ("conflicting_duplicate",)
    ]


def test_a_row_that_is_wrong_is_found_and_put_right(connect: Connect) -> None:
    connection = spread(connect)
    Appender(connect()).append(some_events(50))
    connection.execute("UPDATE positions SET status = 'open', side = 'x' WHERE position_id = 'p1'")
    connection.execute("DELETE FROM positions WHERE position_id = 'p2'")
    found = projection.verify(connection)
    assert [(each.position_id, each.kind, each.columns) for each in found] == [
        ("p1", "different", ["side", "status"]),
        ("p2", "missing", []),
    ]
    assert projection.rebuild(connection) == found
    assert projection.verify(connection) == []


def test_a_reader_of_the_feed_misses_nothing_while_writers_write(connect: Connect) -> None:
    spread(connect)
    writers, batches, size = 2, 6, 40
    found: list[int] = []

    def read() -> None:
        for page in pages_after(reader, 0, follow=True, poll=0.05):
            found.extend(fact.seq for fact in page)
            if len(found) >= writers * batches * size:
                return

    def write(name: int) -> None:
        appender = Appender(connections[name])
        for batch in range(batches):
            appender.append(
                [event(f"e{name}-{batch}-{place}", position=f"p{place}") for place in range(size)]
            )

    reader, connections = connect(), [connect() for _ in range(writers)]
    threads = [threading.Thread(target=write, args=[name]) for name in range(writers)]
    threads.append(threading.Thread(target=read, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LATE)
    connection = connect()
    logged = connection.execute("SELECT seq FROM events ORDER BY seq").fetchall()
    assert found == [seq for (seq,) in logged]
    assert query.newest_seq(connection) == found[-1]


@pytest.mark.skipif(
    not {KILL, START} <= {*os.environ}, reason=f"{KILL} and {START} say not how to kill a worker"
)
def test_nothing_is_lost_when_a_worker_is_killed(connect: Connect) -> None:
    spread(connect)
    kills, traffic = 3, Traffic(connect)
    for work in (traffic.write, traffic.read):
        threading.Thread(target=work, daemon=True).start()
    for kill in range(kills):
        traffic.wait_for_batches((kill + 1) * Traffic.BATCHES // (kills + 1))
        failed = len(traffic.failed)
        run(os.environ[KILL])
        traffic.wait_for_failures(failed + 1)
        run(os.environ[START])
    traffic.wait_for_batches(Traffic.BATCHES)
    traffic.wait_for_readers()
    connection = connect()
    logged = connection.execute("SELECT seq FROM events ORDER BY seq").fetchall()
    assert {*traffic.failed} == {ErrorAction.RETRY}
    assert traffic.told == [seq for (seq,) in logged]
    assert citus.watermark(connection) == traffic.told[-1]
    assert projection.verify(connection) == []


def test_the_feed_ends_where_it_was_published(connect: Connect) -> None:
    connection = spread(connect)
    Appender(connect()).append([event("e1"), event("e2")])
    (newest,) = connection.execute("SELECT max(seq) FROM events").fetchone() or (0,)
    connection.execute("UPDATE log_watermark SET seq = seq - 1")
    assert [fact.seq for page in pages_after(connection, 0, follow=False) for fact in page] == [
        newest - 1
    ]
    # What died before it could publish is made good by the next.
    Appender(connect())
    assert citus.watermark(connection) == newest


def test_status_and_check_show_the_workers(connect: Connect) -> None:
    connection = spread(connect)
    Appender(connect()).append(some_events(50))
    found = status(connection)
    assert len(found.shards) >= 2
    assert found.log.events_estimate == 50
    assert "shards" in citus.described(found.shards)
    (workers,) = [each for each in checks.checks(connection) if each.name == "workers"]
    assert workers.ok


def test_what_still_differs_is_listed_with_what_differs(connect: Connect) -> None:
    connection = spread(connect)
    Appender(connect()).append(some_events(50))
    connection.execute("""
        INSERT INTO reconciliation_runs (trigger, scope, reach, state, started_at)
        VALUES ('nightly', 'full', 'partner', 'running', now())
    """)
    connection.execute("""
        INSERT INTO discrepancies (
            run_id, position_id, kind, field, store_value, rest_value, resolution, noticed_at
        )
        SELECT r.run_id, p.position_id, 'stale', f, 'a', 'b', 'unresolved', now()
        FROM reconciliation_runs r
        CROSS JOIN unnest(ARRAY['p1', 'p2', 'p3']) p (position_id)
        CROSS JOIN unnest(ARRAY['status', 'side']) f
    """)
    found = differing.listed(connection, at_most=2)
    assert (len(found.positions), found.in_all, differing.count(connection)) == (2, 3, 3)
    assert {each.status for each in found.positions} == {"closed"}
    assert [each.fields for each in found.positions] == [
        [["side", "a", "b"], ["status", "a", "b"]]
    ] * 2


def test_the_log_is_append_only_on_each_worker(connect: Connect) -> None:
    connection = spread(connect)
    Appender(connect()).append([event("e1")])
    for statement in ("UPDATE events SET type = 'x'", "DELETE FROM events"):
        with pytest.raises(psycopg.Error):
            connection.execute(statement)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_a_store_that_was_made_before_citus_has_its_functions_on_the_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        with monkeypatch.context() as before:
            before.setenv("PGOPTIONS", "-c citus.enable_ddl_propagation=off")
            connect = stack.enter_context(fresh_store())
        fill(Appender(connect()))
        connection = spread(connect)
        assert projection.verify(connection) == []
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
        store = Store(os.environ[VARIABLE], embedded=False, schema=schema)
        assert archive(store, tmp_path, before=CUT, now=LATER).left == 12
        assert projection.verify(connection) == []


def test_a_store_with_archives_is_spread_with_them(connect: Connect, tmp_path: Path) -> None:
    fill(Appender(connect()))
    (schema,) = connect().execute("SELECT current_schema()").fetchone() or ("",)
    store = Store(os.environ[VARIABLE], embedded=False, schema=schema)
    before = facts(connect())
    archive(store, tmp_path, before=CUT, now=LATER)
    connection = spread(connect)
    assert archive_check.check(connection, tmp_path) == archive_check.Away(3, 1, 1, [])
    assert projection.verify(connection) == []
    (back,) = bring_back(store, files(tmp_path), now=LATER)
    assert back.returned == 12
    assert facts(connection) == before
    assert projection.verify(connection) == []
