"""A store in a schema of its own, beside other programs and other stores in one database."""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support.factories import event
from support.postgres import ON_CITUS
from support.programs import programs_on
from support.roles import connected, drop_roles
from support.waiting import DEADLINE

from positionstore.errors import (
    ConfigurationError,
    NeighbourError,
    SchemaMismatchError,
    StoreRefusedError,
)
from positionstore.sandbox import Options, Sandbox
from positionstore.settings import load_settings
from positionstore.store import migrations
from positionstore.store import runs as reconciliation
from positionstore.store.appender import Appender
from positionstore.store.database import Store, connect
from positionstore.store.engine import is_distributed
from positionstore.store.grants import Role, Roles
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.projection import rebuild, verify
from positionstore.store.psql import url_in_schema
from positionstore.store.read import arrow
from positionstore.store.read import query as selection
from positionstore.store.roles import apply, recorded, url_of

ODD = 'Desk-Book "1", b\\c'
"""A name that has to be quoted wherever it is written."""

OBJECTS = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT n.nspname || '.' || proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


def objects(url: str) -> set[str]:
    """Return every table, view, index and function of a database, with its schema."""
    with psycopg.connect(url) as connection:
        found = {name for (name,) in connection.execute(OBJECTS)}
    return {name for name in found if not (ON_CITUS and re.search("citus|columnar", name))}


def store_in(url: str, schema: str | None) -> Store:
    """Migrate a store into a schema."""
    migrations.migrate(url, schema=schema)
    return Store(url, embedded=False, schema=schema)


# --- one store


@pytest.mark.parametrize("schema", ["order", ODD])
def test_migrate_makes_the_schema_and_all_is_in_it(any_database_url: str, schema: str) -> None:
    store = Store(any_database_url, embedded=False, schema=schema)
    with (
        closing(store.connect()) as connection,
        pytest.raises(SchemaMismatchError, match="run `positionstore migrate`, which makes it"),
    ):
        migrations.check(connection)
    assert migrations.migrate(store.url, schema=schema) == (None, migrations.head())
    assert migrations.migrate(store.url, schema=schema) == (migrations.head(), migrations.head())
    assert all(name.startswith(f"{schema}.") for name in objects(any_database_url))
    with closing(store.connect()) as connection, closing(store.connect()) as other:
        migrations.check(connection)
        Appender(other).append([event("evt_1"), event("evt_2", position="pos_2")])
        assert rebuild(connection) == []
        assert verify(connection) == []
        made = connection.execute("SELECT count(*) FROM positions_as_of(now())").fetchone()
        assert made == (2,)
    with selection.reading(store, "events") as connection:
        (batch,) = arrow.batches(store, selection.of_relation(connection, "events"))
    assert batch["event_id"].to_pylist() == ["evt_1", "evt_2"]
    migrations.migrate(store.url, schema=schema, down_to="base")
    left = {"alembic_version", "alembic_version_pkc"}
    assert objects(any_database_url) == {f"{schema}.{name}" for name in left}
    migrations.migrate(store.url, schema=schema)


async def test_every_command_works_in_a_schema(database_url: str, tmp_path: Path) -> None:
    async with (
        Sandbox(Options(seed=7, ticking=False, partners=1, api_key_lists=True)) as sandbox,
        programs_on(database_url, tmp_path) as programs,
    ):
        programs.against(sandbox)
        programs.environment["POSITIONSTORE_SCHEMA"] = ODD
        await sandbox.step(60)
        envelopes = [bytes(record.envelope) for record in sandbox.records]
        (tmp_path / "events.jsonl").write_bytes(b"\n".join(envelopes) + b"\n")
        refused = await programs.run("status", expect=2)
        assert "run `positionstore migrate`, which makes it" in refused.err
        await programs.run("migrate")
        await programs.run("import", "events.jsonl")
        await programs.run("reconcile", "--full")
        for command in (
            ("rebuild",),
            ("verify",),
            ("status", "--json"),
            ("export", "positions", "--out", "positions.parquet"),
            ("export", "events", "--out", "events.csv"),
        ):
            await programs.run(*command)
        counted = await programs.run("db", "psql", "-Atc", "SELECT count(*) FROM events")
        url = (await programs.run("db", "url")).out.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_schema()").fetchone() == (ODD,)
        row = connection.execute("SELECT count(*) FROM events").fetchone()
    assert row == (int(counted.out),)
    assert int(counted.out) >= len(envelopes) > 0
    assert pq.read_table(tmp_path / "positions.parquet").num_rows > 0
    assert all(name.startswith(f"{ODD}.") for name in objects(database_url))


@pytest.mark.parametrize(
    "name", ["pg_book", "pg_catalog", "information_schema", "$user", "x" * 64, "a\tb", "é" * 32]
)
def test_a_schema_that_postgres_keeps_for_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("POSITIONSTORE_SCHEMA", name)
    with pytest.raises(ConfigurationError, match="POSITIONSTORE_SCHEMA cannot be used"):
        load_settings()


def test_what_waits_for_a_store_lies_in_a_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POSITIONSTORE_DATA_DIR", str(tmp_path))
    assert load_settings().store_dir == tmp_path
    monkeypatch.setenv("POSITIONSTORE_SCHEMA", "../a b")
    assert load_settings().store_dir == tmp_path / "schemas" / "..%2Fa%20b"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40@h/db",
        "postgresql://u:p?w@h/db?",
        "postgresql://u@h/db?sslmode=require&options=-cwork_mem%3D8MB",
        "host=h dbname=db options='-c work_mem=8MB'",
    ],
)
def test_a_url_for_other_tools_leads_into_the_schema(url: str) -> None:
    asked, made = conninfo_to_dict(url), conninfo_to_dict(url_in_schema(url, "My Book"))
    options = str(made.pop("options"))
    assert options.startswith(str(asked.pop("options", "") or ""))
    assert options.endswith('-csearch_path="My\\ Book"')
    assert made == asked


# --- rights


@pytest.fixture
def stranger(any_database_url: str) -> Iterator[tuple[str, str]]:
    """A role that may connect, and the URL with which it does."""
    name = f"stranger_{uuid.uuid4().hex[:8]}"
    with connected(any_database_url) as connection:
        role = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(role))
        yield name, make_conninfo(any_database_url, user=name, password="x")
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.superuser
def test_who_may_not_make_a_schema_is_told_the_grant(
    any_database_url: str, stranger: tuple[str, str]
) -> None:
    name, url = stranger
    with pytest.raises(StoreRefusedError, match="may not make it") as raised:
        migrations.migrate(url, schema=ODD)
    assert f'GRANT CREATE ON DATABASE "{conninfo_to_dict(url)["dbname"]}" TO "{name}"' in str(
        raised.value
    )
    assert objects(any_database_url) == set()
    _, _, made = str(raised.value).partition("; or ")
    with connected(any_database_url) as connection:
        connection.execute(made.encode())
    assert migrations.migrate(url, schema=ODD) == (None, migrations.head())


@pytest.mark.superuser
def test_who_may_not_use_a_schema_is_told_the_grant(
    any_database_url: str, stranger: tuple[str, str]
) -> None:
    _, url = stranger
    store_in(any_database_url, ODD)
    theirs = Store(url, embedded=False, schema=ODD)
    with (
        closing(theirs.connect()) as connection,
        pytest.raises(StoreRefusedError, match="GRANT USAGE ON SCHEMA") as raised,
    ):
        migrations.check(connection)
    _, _, grant = str(raised.value).partition("As its owner: ")
    with connected(any_database_url) as connection:
        connection.execute(grant.encode())
    with closing(theirs.connect()) as connection, pytest.raises(psycopg.Error, match="denied"):
        migrations.check(connection)


@pytest.mark.superuser
def test_roles_begin_in_the_schema(any_database_url: str) -> None:
    store = store_in(any_database_url, ODD)
    roles = Roles(f"desk_{uuid.uuid4().hex[:8]}")
    urls: dict[Role, str] = {}
    with closing(store.connect()) as connection:
        apply(
            connection,
            roles,
            keep=lambda made: urls.update(
                {role: url_of(store.url, roles.name(role), word) for role, word in made.items()}
            ),
        )
        assert recorded(connection) == roles
    try:
        with closing(connect(urls[Role.WRITER])) as connection:
            Appender(connection).append([event("evt_1")])
        with connected(urls[Role.READER]) as connection:
            assert connection.execute("SELECT count(*) FROM positions").fetchone() == (1,)
        migrations.migrate(urls[Role.OWNER])
    finally:
        drop_roles(any_database_url, roles)


# --- other programs

NEIGHBOURS = {
    "its revision": "CREATE TABLE alembic_version AS SELECT 'ae1' AS version_num",
    "a revision like ours": (
        "CREATE TABLE alembic_version AS SELECT '0010' AS version_num; CREATE TABLE events (id int)"
    ),
    "another version table": "CREATE TABLE alembic_version AS SELECT 1 AS a, 2 AS b",
    "events": "CREATE TABLE events (id int)",
    "positions": "CREATE TABLE positions (id int)",
    "a view": "CREATE VIEW open_positions AS SELECT 1 AS id",
    "an index": "CREATE TABLE t (id int); CREATE INDEX quarantine ON t (id)",
    "a function": "CREATE FUNCTION events_after() RETURNS int LANGUAGE sql AS 'SELECT 1'",
}


def test_another_program_s_tables_are_named_and_left_alone(any_database_url: str) -> None:
    store = store_in(any_database_url, "positionstore")
    for number, made in enumerate(NEIGHBOURS.values()):
        schema = f"n{number}"
        theirs = make_conninfo(any_database_url, options=f"-csearch_path={schema}")
        with connected(theirs) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute(made.encode())
        before = objects(any_database_url)
        for url, named in ((theirs, None), (any_database_url, schema)):
            with pytest.raises(NeighbourError, match="Set POSITIONSTORE_SCHEMA to") as raised:
                migrations.migrate(url, schema=named)
            assert raised.value.exit_code == 1
            assert f"Schema {schema} holds" in str(raised.value)
            assert "\n" not in str(raised.value)
        with closing(connect(theirs)) as connection, pytest.raises(NeighbourError):
            migrations.check(connection)
        assert objects(any_database_url) == before
    with closing(store.connect()) as connection:
        migrations.check(connection)
        Appender(connection).append([event("evt_1")])


@pytest.mark.slow
async def test_no_command_touches_another_program_s_tables(
    any_database_url: str, tmp_path: Path
) -> None:
    with connected(any_database_url) as connection:
        connection.execute("CREATE TABLE events (id int); CREATE TABLE positions (id int)")
        owners = "SELECT relname, relowner, relacl FROM pg_class WHERE relname = 'events'"
        before = connection.execute(owners).fetchall()
        async with programs_on(any_database_url, tmp_path) as programs:
            for command in (("migrate",), ("status",), ("roles",), ("roles", "--print")):
                done = await programs.run(*command, expect=1)
                (line,) = [said for said in done.err.splitlines() if "POSITIONSTORE_SCHEMA" in said]
                assert "events, positions" in line
        assert connection.execute(owners).fetchall() == before


# --- two stores


@pytest.mark.not_on_citus("there the name is its own")
def test_a_relation_named_as_one_of_citus_changes_nothing_without_citus(
    connection: psycopg.Connection,
) -> None:
    connection.execute("CREATE VIEW log_watermark AS SELECT 1 AS of_another")
    connection.commit()
    assert not is_distributed(connection)
    Appender(connection).append([event("evt_1")])
    assert verify(connection) == []


def test_two_stores_in_one_database_mix_nothing(any_database_url: str) -> None:
    stores = [store_in(any_database_url, None), store_in(any_database_url, ODD)]
    numbers = [300, 200]

    def fill(store: Store, number: int) -> None:
        with closing(store.connect()) as connection:
            appender = Appender(connection)
            for begin in range(0, number, 20):
                appender.append(
                    [
                        event(f"evt_{n}", position=f"pos_{n % 7}", at=n)
                        for n in range(begin, begin + 20)
                    ]
                )

    def refold(store: Store) -> None:
        with closing(store.connect()) as connection:
            assert rebuild(connection) == []
            assert verify(connection) == []

    for work in (
        [threading.Thread(target=fill, args=pair) for pair in zip(stores, numbers, strict=True)],
        [threading.Thread(target=refold, args=(store,)) for store in stores],
    ):
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    for store, number in zip(stores, numbers, strict=True):
        with closing(store.connect()) as connection:
            log = "SELECT count(*), min(seq), max(seq) FROM events"
            assert connection.execute(log).fetchone() == (number, 1, number)
            assert verify(connection) == []


def test_which_locks_two_stores_share(any_database_url: str) -> None:
    plain, other = store_in(any_database_url, None), store_in(any_database_url, "other")
    with (
        closing(plain.connect()) as one,
        closing(other.connect()) as two,
        closing(other.connect()) as three,
    ):
        # A reconciliation and a rebuild of one store do not block the other store's.
        assert reconciliation.try_lock(one)
        assert reconciliation.try_lock(two)
        assert not reconciliation.try_lock(three)
        assert reconciliation.holds_lock(one)
        assert reconciliation.holds_lock(two)
        assert not reconciliation.holds_lock(three)
        reconciliation.unlock(two)
        assert reconciliation.try_lock(three)
        # Appenders of both take turns.
        with one.transaction():
            one.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            two.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                Appender(two).append([event("evt_1")])


def test_a_notification_of_another_store_only_wakes(any_database_url: str) -> None:
    plain, other = store_in(any_database_url, None), store_in(any_database_url, "other")
    with closing(plain.connect()) as listener, closing(other.connect()) as writer:
        listener.execute("LISTEN positionstore")
        Appender(writer).append([event("evt_1")])
        (told,) = listener.notifies(timeout=DEADLINE, stop_after=1)
        assert json.loads(told.payload) == 1
        assert listener.execute("SELECT count(*) FROM events_after(0, 10)").fetchone() == (0,)
