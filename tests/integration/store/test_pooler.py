"""Behind a real pooler: one that keeps a session is used, any other is refused at once."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from support.factories import NOON, event, snapshot
from support.pgbouncer import PgBouncer, pgbouncer, version
from support.ports import free_port
from support.programs import ROOT, ended, programs_on
from support.typed_in import rows
from support.waiting import DEADLINE, eventually, wait_until

from positionstore.errors import (
    DatabaseUnavailableError,
    PositionstoreError,
    SessionLostError,
    StoreRefusedError,
)
from positionstore.sandbox import Options, Sandbox
from positionstore.store import database, locks, migrations, pooler
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.locks import REBUILD_LOCK, RECONCILE_LOCK, session_lock
from positionstore.store.projection import rebuild, verify
from positionstore.store.read import arrow
from positionstore.store.read import query as selection

TITLE = "as it came"


@pytest.fixture
def filled_url(store_url: str) -> str:
    """A store with some positions."""
    with closing(database.connect(store_url)) as connection:
        appender = Appender(connection)
        appender.append(
            [
                event(f"evt_{n}", position=f"dm_{n}", at=n, body={"market_title": TITLE})
                for n in range(30)
            ]
        )
        appender.append_snapshots([snapshot(position="dm_3", as_of=500)], NOON)
    # The server drops the tables of a session some time after its client has gone.
    wait_until(lambda: traces(store_url)["temporary"] == 0, "nothing is left of the session")
    return store_url


def traces(url: str) -> dict[str, object]:
    """What a client that is no longer there may have left in the server's sessions."""
    with closing(psycopg.connect(url, autocommit=True)) as desk:
        row = desk.execute("""
            SELECT
                (SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE l.locktype = 'advisory' AND d.datname = current_database()),
                (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
                (SELECT count(*) FROM events),
                (SELECT count(*) FROM positions)
        """).fetchone()
        assert row is not None
        return dict(zip(("locks", "temporary", "events", "positions"), row, strict=True))


# --- refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"default_pool_size": 1},
        {"min_pool_size": 5},
        {"min_pool_size": 5, "server_round_robin": 1},
        {"server_reset_query_always": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_one_that_does_not_keep_a_session_is_refused_and_nothing_is_set(
    filled_url: str, mode: str, settings: dict[str, int]
) -> None:
    before = traces(filled_url)
    with pgbouncer(filled_url, mode=mode, **settings) as bouncer:
        url = bouncer.of(filled_url)
        for reads in (False, True):
            with pytest.raises(StoreRefusedError) as raised:
                database.connect(url, reads=reads)
            assert raised.value.exit_code == 2
            said = str(raised.value)
            assert "\n" not in said
            assert "does not keep a session" in said
            assert "pool_mode = session" in said
        with pytest.raises(StoreRefusedError, match="does not keep a session"):
            migrations.migrate(url)
        # The next client of that server session finds it as it was.
        with closing(psycopg.connect(url, autocommit=True)) as next_one:
            for name, value in {
                "row_security": "on",
                "work_mem": "4MB",
                "default_toast_compression": "pglz",
            }.items():
                row = next_one.execute(f"SELECT current_setting('{name}')", prepare=False)
                assert row.fetchone() == (value,)
            row = next_one.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False)
            assert row.fetchone() == (0,)
        assert traces(filled_url) == before


@pytest.mark.parametrize("known", [0, 100])
def test_one_that_knows_prepared_statements_is_refused_too(filled_url: str, known: int) -> None:
    if version() < (1, 21):
        pytest.skip("this version of pgbouncer does not know prepared statements")
    with (
        pgbouncer(filled_url, mode="transaction", max_prepared_statements=known) as bouncer,
        pytest.raises(StoreRefusedError, match="does not keep a session"),
    ):
        database.connect(bouncer.of(filled_url))


def test_one_that_is_busy_with_others_is_refused_too(filled_url: str) -> None:
    with (
        pgbouncer(filled_url, mode="transaction", default_pool_size=4) as bouncer,
        others_at_work(bouncer.of(filled_url), 8),
    ):
        for _ in range(20):
            with pytest.raises(StoreRefusedError, match="does not keep a session"):
                database.connect(bouncer.of(filled_url))


def test_one_of_several_processes_is_refused_too(filled_url: str) -> None:
    """Three behind one port: of four connections two meet in one of them."""
    port = free_port()
    with ExitStack() as stack:
        bouncer, *_ = [
            stack.enter_context(
                pgbouncer(filled_url, mode="transaction", port=port, so_reuseport=1)
            )
            for _ in range(3)
        ]
        for _ in range(10):
            with pytest.raises(StoreRefusedError, match="does not keep a session"):
                database.connect(bouncer.of(filled_url))


@contextmanager
def others_at_work(url: str, how_many: int) -> Iterator[None]:
    """Other applications that ask short questions all the time."""
    stop = threading.Event()

    def work() -> None:
        with closing(psycopg.connect(url, autocommit=True, prepare_threshold=None)) as connection:
            while not stop.is_set():
                connection.execute("SELECT 1")

    threads = [threading.Thread(target=work) for _ in range(how_many)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)


async def test_every_command_ends_in_one_line_and_changes_nothing(
    filled_url: str, tmp_path: Path
) -> None:
    with closing(psycopg.connect(filled_url, autocommit=True)) as desk:
        desk.execute("UPDATE positions SET market_title = 'tampered'")
    before = traces(filled_url)
    (tmp_path / "events.jsonl").write_bytes(b"")
    with pgbouncer(filled_url, mode="transaction") as bouncer:
        async with (
            Sandbox(Options(seed=7, ticking=False, partners=1, api_key_lists=True)) as sandbox,
            programs_on(bouncer.of(filled_url), tmp_path) as programs,
        ):
            programs.against(sandbox)
            for command in (
                ("rebuild",),
                ("verify",),
                ("migrate",),
                ("import", "events.jsonl"),
                ("export", "positions", "--out", "positions.parquet"),
                ("reconcile", "--full"),
                ("backfill", "--all"),
                ("ingest",),
                ("run",),
                ("status",),
                ("tail", "--no-follow"),
                ("roles", "--print"),
            ):
                done = await programs.run(*command, expect=2)
                (line,) = done.err.splitlines()
                assert "does not keep a session" in line, command
    assert traces(filled_url) == before
    with closing(psycopg.connect(filled_url)) as desk:
        titles = desk.execute("SELECT DISTINCT market_title FROM positions").fetchall()
        assert titles == [("tampered",)]


def test_alembic_by_itself_is_refused_too(store_url: str) -> None:
    with pgbouncer(store_url, mode="transaction") as bouncer:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "current"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": bouncer.of(store_url)},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    assert done.returncode != 0
    assert "does not keep a session" in done.stderr


def test_one_that_takes_no_second_client_is_not_believed(filled_url: str) -> None:
    with (
        pgbouncer(filled_url, mode="session", max_client_conn=1) as bouncer,
        pytest.raises(DatabaseUnavailableError) as raised,
    ):
        database.connect(bouncer.of(filled_url))
    said = str(raised.value)
    assert "\n" not in said
    assert "no more connections allowed" in said


# --- kept ----------------------------------------------------------------------------------


@pytest.fixture
def by_session(filled_url: str) -> Iterator[PgBouncer]:
    """A pooler that keeps sessions."""
    with pgbouncer(filled_url, mode="session") as bouncer:
        yield bouncer


def test_without_a_pooler_nobody_is_asked(filled_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooler, "require_session", lambda *_: pytest.fail("asked"))
    database.connect(filled_url).close()
    migrations.connect(filled_url).close()


def test_in_session_mode_a_session_is_ours_as_without_a_pooler(
    filled_url: str, by_session: PgBouncer
) -> None:
    with closing(database.connect(by_session.of(filled_url))) as connection:
        assert connection.execute("SHOW row_security").fetchone() == ("off",)
        assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)


def test_one_that_has_just_one_session_left_is_used(filled_url: str) -> None:
    with (
        pgbouncer(filled_url, mode="session", default_pool_size=1) as bouncer,
        closing(database.connect(bouncer.of(filled_url))) as connection,
    ):
        assert Appender(connection).append([event("evt_new")]).appended == 1


@pytest.mark.parametrize("clients", [2, 3])
def test_one_that_takes_few_clients_is_used(filled_url: str, clients: int) -> None:
    with (
        pgbouncer(filled_url, mode="session", max_client_conn=clients) as bouncer,
        closing(database.connect(bouncer.of(filled_url))) as connection,
    ):
        assert verify(connection) == []


def test_appending_rebuilding_and_exporting_through_it(
    filled_url: str, by_session: PgBouncer
) -> None:
    url = by_session.of(filled_url)
    with closing(database.connect(url)) as own, closing(database.connect(url)) as connection:
        appender = Appender(own)
        for n in range(3):
            assert appender.append([event(f"evt_new_{n}", position=f"dm_new_{n}")]).appended == 1
        connection.execute("UPDATE positions SET market_title = 'tampered' WHERE status = 'open'")
        assert len(verify(connection)) == len(rebuild(connection)) > 0
        assert verify(connection) == []
    store = Store(url, embedded=False)
    with selection.reading(store, "positions") as connection:
        chosen = selection.of_relation(connection, "positions")
    assert sum(batch.num_rows for batch in arrow.batches(store, chosen)) == 33
    assert traces(filled_url)["locks"] == 0


def test_a_session_that_is_ended_during_a_copy_is_a_lost_connection(
    filled_url: str, by_session: PgBouncer
) -> None:
    """PgBouncer says so after the server, and psycopg counts on one answer."""
    batch = [event(f"evt_{n}", position=f"dm_pos_{n}", at=n) for n in range(200)]
    with (
        psycopg.connect(filled_url, autocommit=True) as desk,
        closing(database.connect(by_session.of(filled_url))) as connection,
    ):
        appender = Appender(connection)
        ended_one = pooler.backend(connection)
        connection.commit()
        appender.stage(batch)
        desk.execute("SELECT pg_terminate_backend(%s, 10000)", [ended_one])
        with pytest.raises(psycopg.OperationalError):
            appender.commit()


async def test_every_command_works_through_it(store_url: str, tmp_path: Path) -> None:
    with pgbouncer(store_url, mode="session") as bouncer:
        async with (
            Sandbox(Options(seed=7, ticking=False, partners=1, api_key_lists=True)) as sandbox,
            programs_on(bouncer.of(store_url), tmp_path) as programs,
        ):
            programs.against(sandbox)
            await sandbox.step(60)
            envelopes = [bytes(record.envelope) for record in sandbox.records]
            (tmp_path / "events.jsonl").write_bytes(b"\n".join(envelopes) + b"\n")
            for command in (
                ("migrate",),
                ("import", "events.jsonl"),
                ("reconcile", "--full"),
                ("backfill", "--all"),
                ("rebuild",),
                ("verify",),
                ("status", "--json"),
                ("check",),
                ("roles", "--print"),
                ("archive", "--before", "2000-01-01", "--to", "archives"),
                ("quarantine", "list"),
                ("tail", "--json", "--no-follow"),
                ("export", "positions", "--out", "positions.parquet"),
                ("export", "events", "--out", "events.csv"),
            ):
                await programs.run(*command)


async def test_the_service_runs_through_it(store_url: str, tmp_path: Path) -> None:
    complete = "SELECT count(*) FROM reconciliation_runs WHERE state = 'complete'"
    with pgbouncer(store_url, mode="session") as bouncer:
        async with (
            Sandbox(Options(seed=7, ticking=False, partners=1, api_key_lists=True)) as sandbox,
            programs_on(bouncer.of(store_url), tmp_path) as programs,
        ):
            programs.against(sandbox)
            process = await programs.start("run", POSITIONSTORE_RECONCILE_EVERY="0.2")
            await sandbox.wait_for_clients(1, within=DEADLINE)
            await sandbox.step(60)
            sent = len({bytes(each.envelope) for each in sandbox.records if each.recipients})
            streamed = "SELECT count(*) FROM events WHERE source = 'partner'"
            await eventually(lambda: rows(store_url, streamed) == [(sent,)])
            await eventually(lambda: rows(store_url, complete) != [(0,)])
            process.terminate()
            assert (await ended(process)).code == 0
    with closing(database.connect(store_url)) as connection:
        assert verify(connection) == []


def test_a_store_is_made_through_it(database_url: str) -> None:
    with pgbouncer(database_url, mode="session") as bouncer:
        assert migrations.migrate(bouncer.of(database_url)) == (None, migrations.head())


def test_a_reconcilers_lock_is_given_back_though_the_pooler_does_not_reset(
    filled_url: str,
) -> None:
    with pgbouncer(filled_url, mode="session", server_reset_query="") as bouncer:
        url = bouncer.of(filled_url)
        for _ in range(2):
            with closing(database.connect(url)) as connection:
                with session_lock(connection, REBUILD_LOCK):
                    assert traces(filled_url)["locks"] == 1
                assert rebuild(connection) == []
        assert traces(filled_url) | {"positions": 0, "events": 0} == {
            "locks": 0, "temporary": 0, "positions": 0, "events": 0,
        }  # fmt: skip


# --- a session that becomes another all the same ---------------------------------------------


@pytest.fixture
def unchecked(filled_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an undetected pooler by transaction; its sessions are taken in turn."""
    monkeypatch.setattr(pooler, "require_session", lambda *_: None)
    settings = {"min_pool_size": 2, "default_pool_size": 2, "server_round_robin": 1}
    with pgbouncer(filled_url, mode="transaction", **settings) as bouncer:
        url = bouncer.of(filled_url)
        # Both sessions of the server are there from now on.
        with closing(psycopg.connect(url)) as one, closing(psycopg.connect(url)) as other:
            one.execute("SELECT 1")
            other.execute("SELECT 1")
            one.commit()
            other.commit()
        yield url


def test_a_rebuild_whose_session_is_lost_changes_nothing(filled_url: str, unchecked: str) -> None:
    with closing(psycopg.connect(filled_url, autocommit=True)) as desk:
        desk.execute("UPDATE positions SET market_title = 'tampered'")
        everything = "SELECT * FROM positions ORDER BY position_id"
        before = desk.execute(everything).fetchall()
        with closing(database.connect(unchecked)) as connection:
            connection.prepare_threshold = None
            with pytest.raises(SessionLostError, match="Another session of the database answered"):
                rebuild(connection)
        assert desk.execute(everything).fetchall() == before


@pytest.mark.parametrize("others_too", [False, True])
def test_an_appender_whose_session_is_lost_appends_nothing(
    filled_url: str, unchecked: str, *, others_too: bool
) -> None:
    with (
        closing(database.connect(unchecked)) as own,
        closing(database.connect(unchecked)) as other,
    ):
        own.prepare_threshold = None
        appender = Appender(own)
        if others_too:
            Appender(other)  # another client's table of that name
        appended: list[int] = []
        for n in range(6):
            try:
                facts = [event(f"evt_new_{n}", position="dm_new")]
                appended.append(appender.append(facts).appended)
            except SessionLostError:
                appended.append(0)
        assert sorted(appended) == [0, 0, 0, 1, 1, 1]
    assert traces(filled_url)["events"] == 31 + 3


# --- what a rebuild swaps in -----------------------------------------------------------------


def test_leftovers_of_another_in_the_session_are_not_taken_for_its_own(filled_url: str) -> None:
    with closing(database.connect(filled_url)) as connection:
        connection.execute("CREATE TEMPORARY TABLE incoming (theirs int)")
        assert Appender(connection).append([event("evt_new")]).appended == 1


NOTHING = """
    CREATE OR REPLACE FUNCTION fold_facts(
        only_positions text[] DEFAULT NULL,
        valid_at timestamptz DEFAULT 'infinity',
        known_at timestamptz DEFAULT 'infinity'
    )
    RETURNS TABLE (position_id text, seq bigint, supersedes_before timestamptz)
    LANGUAGE sql STABLE AS $$ SELECT NULL::text, NULL::bigint, NULL::timestamptz WHERE false $$
"""


@pytest.mark.parametrize("work", [rebuild, verify])
def test_no_position_from_a_log_that_has_facts_stops_it(filled_url: str, work: object) -> None:
    assert callable(work)
    with closing(database.connect(filled_url)) as connection:
        connection.execute(NOTHING)
        # A row that is seen to be right without it needs no fold.
        connection.execute("UPDATE positions SET last_event_id = 'evt_other'")
        with pytest.raises(PositionstoreError) as raised:
            work(connection)
        assert "\n" not in str(raised.value)
        assert raised.value.exit_code == 1
        assert connection.execute("SELECT count(*) FROM positions").fetchone() == (30,)
    assert traces(filled_url)["locks"] == 0


def test_a_lock_that_another_session_holds_is_not_thought_given_back(filled_url: str) -> None:
    with closing(database.connect(filled_url)) as connection:
        with pytest.raises(SessionLostError), session_lock(connection, RECONCILE_LOCK):
            connection.execute("SELECT pg_advisory_unlock_all()")
        assert not locks.holds(connection, RECONCILE_LOCK)
        assert locks.try_session_lock(connection, RECONCILE_LOCK)
        assert locks.holds(connection, RECONCILE_LOCK)
        assert locks.unlock(connection, RECONCILE_LOCK)
