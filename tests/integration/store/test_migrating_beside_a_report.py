"""A long report, and those who do not wait for it: the ingester, a rebuild, a migration."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import IsolationLevel
from support.factories import event
from support.further import a_further_migration
from support.postgres import OWN_FUNCTIONS
from support.roles import Urls, connected, roles_on
from support.waiting import wait_until

from positionstore.errors import BusyError
from positionstore.store import database, migrations
from positionstore.store.appender import Appender
from positionstore.store.grants import Role
from positionstore.store.projection import rebuild, verify

pytestmark = pytest.mark.superuser

CHANGE = "ALTER TABLE positions ADD COLUMN further text"
BOOK = "SELECT position_id, status FROM positions ORDER BY 1"
WAITS = """
    SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE NOT granted AND relation IS NOT NULL AND datname = current_database())
"""


@pytest.fixture
def urls(any_store_url: str) -> Iterator[Urls]:
    with roles_on(any_store_url) as urls:
        with closing(database.connect(urls[Role.WRITER])) as connection:
            Appender(connection).append([event("evt_1", status="open")])
        yield urls


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a migration give way sooner, and come back sooner."""
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", 500)
    monkeypatch.setattr(migrations, "_PAUSE", 0.5)


class Background(threading.Thread):
    """Does something beside the test; what it raises is raised where its end is awaited."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            self._error = error

    def done(self) -> None:
        self.join(120)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error


@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_nobody_waits_for_a_report_but_the_migration_that_changes_its_table(
    urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with (
        a_further_migration(tmp_path, monkeypatch, CHANGE),
        connected(urls[Role.READER]) as reader,
        connected(urls[Role.WRITER]) as writer,
        closing(database.connect(urls[Role.WRITER])) as appending,
    ):
        reader.isolation_level = IsolationLevel.REPEATABLE_READ
        appender = Appender(appending)
        with reader.transaction():
            reported = reader.execute(BOOK).fetchall()
            migration = Background(lambda: migrations.migrate(urls[Role.OWNER], say=said.append))
            longest = 0.0
            number = 1
            while len(said) < 2:  # it has tried twice, and gives way in between
                number += 1
                began = time.monotonic()
                appender.append([event(f"evt_{number}", at=number, status="open")])
                longest = max(longest, time.monotonic() - began)
                assert migration.is_alive()
            # Both go on, however long the report takes.
            writer.execute("UPDATE positions SET status = 'closed'")
            assert len(rebuild(writer)) == 1
            assert reader.execute(BOOK).fetchall() == reported
            assert migrations.current(writer) != "9000"
        migration.done()
        assert migrations.current(writer) == "9000"
        assert verify(writer) == []

    # Half a second for the lock of the migration; a busy machine takes its time.
    assert longest < 30
    assert number > 2
    assert "is in use by session" in said[0]
    assert "_reader" in said[0]


@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_a_migration_gives_up_in_the_end_and_says_who_is_in_its_way(
    urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        a_further_migration(tmp_path, monkeypatch, CHANGE),
        connected(urls[Role.READER]) as reader,
    ):
        with reader.transaction():
            reader.execute(BOOK)
            with pytest.raises(BusyError, match=r"session \d+ \(.*_reader.*nothing has changed"):
                migrations.migrate(urls[Role.OWNER], wait=0)
        assert migrations.current(reader) != "9000"
        assert migrations.migrate(urls[Role.OWNER], wait=0)[1] == "9000"


@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_whoever_queues_behind_a_migration_gets_on_when_it_gives_way(
    urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    let_go = threading.Event()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert let_go.wait(120)

    with (
        a_further_migration(tmp_path, monkeypatch, CHANGE),
        connected(urls[Role.READER]) as reader,
        connected(urls[Role.WRITER]) as writer,
        connected(urls[Role.READER]) as another,
    ):
        with reader.transaction():
            reader.execute(BOOK)
            migration = Background(lambda: migrations.migrate(urls[Role.OWNER], sleep=sleep))
            wait_until(
                lambda: bool(slept) or writer.execute(WAITS).fetchone() == (True,), "it waits"
            )
            assert another.execute(BOOK).fetchall()  # behind it, and then served
            writer.execute("UPDATE positions SET updated_at = updated_at")
            wait_until(lambda: bool(slept), "it gave way")
            assert writer.execute(WAITS).fetchone() == (False,)
        let_go.set()
        migration.done()


def test_a_reader_that_idles_in_a_transaction_is_ended(urls: Urls) -> None:
    with connected(urls[Role.READER]) as reader, connected(urls[Role.WRITER]) as writer:
        reader.execute("SET idle_in_transaction_session_timeout = '50ms'")
        reader.execute("BEGIN")
        pid = reader.info.backend_pid
        there = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
        wait_until(lambda: writer.execute(there, [pid]).fetchone() == (False,), "it ended")
        with pytest.raises(psycopg.Error, match="idle-in-transaction timeout"):
            reader.execute("SELECT 1")
