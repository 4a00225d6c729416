"""Migrations: up, down, up again; in turns; and not at all where they may not."""

import threading
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support.further import a_further_migration
from support.postgres import ON_CITUS, Server

from positionstore.embedded.server import EmbeddedServer
from positionstore.errors import ConfigurationError, PositionstoreError, SchemaMismatchError
from positionstore.settings import Environment
from positionstore.store import database, identity, migrations
from positionstore.store.locks import MIGRATION_LOCK


def objects(url: str) -> set[str]:
    """Every relation, function and type that stands in a schema of the user's."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("""
            SELECT pg_describe_object(classid, objid, 0) FROM (
                SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class
                UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
                UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
            ) o (classid, objid, namespace)
            WHERE namespace NOT IN (
                SELECT oid FROM pg_namespace WHERE nspname ~ '^(pg_|information_schema$)'
            )
        """)
        return {
            name
            for (name,) in rows
            if "alembic_version" not in name and not (ON_CITUS and "citus" in name)
        }


def revisions() -> list[str]:
    scripts = ScriptDirectory.from_config(migrations._config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def test_up_then_down_to_nothing_then_up_again(any_database_url: str) -> None:
    assert migrations.migrate(any_database_url) == (None, migrations.head())
    made = objects(any_database_url)
    assert {"table events", "table positions", "view fact_positions"} <= made
    assert migrations.migrate(any_database_url, down_to="base") == (migrations.head(), None)
    assert objects(any_database_url) == set()
    assert migrations.migrate(any_database_url) == (None, migrations.head())
    assert objects(any_database_url) == made


def test_at_head_nothing_happens(store_url: str) -> None:
    before = objects(store_url)
    assert migrations.migrate(store_url) == (migrations.head(), migrations.head())
    assert objects(store_url) == before


def test_there_is_one_head() -> None:
    scripts = ScriptDirectory.from_config(migrations._config())
    assert scripts.get_heads() == [migrations.head()]
    assert revisions() == migrations._revisions(), "the files' names begin with their revisions"


def test_a_database_without_a_schema_is_told_to_migrate(database_url: str) -> None:
    with (
        database.connect(database_url) as connection,
        pytest.raises(SchemaMismatchError, match=r"no positionstore schema yet.*migrate`\.$"),
    ):
        migrations.check(connection)


def test_a_schema_ahead_is_left_alone_and_says_what_to_do(store_url: str) -> None:
    with database.connect(store_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaMismatchError, match=r"is ahead: 9999.*Upgrade positionstore\."):
            migrations.check(connection)
    before = objects(store_url)
    with pytest.raises(SchemaMismatchError, match=r"is ahead: 9999.*Upgrade positionstore\."):
        migrations.migrate(store_url)
    assert objects(store_url) == before


@pytest.mark.parametrize("revision", ["0011", "0020"])
def test_a_schema_that_was_never_released_is_left_alone(store_url: str, revision: str) -> None:
    with database.connect(store_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
        with pytest.raises(SchemaMismatchError, match=rf"{revision}.* commit 74f626c"):
            migrations.check(connection)
    before = objects(store_url)
    with pytest.raises(SchemaMismatchError, match=rf"{revision}.* commit 74f626c"):
        migrations.migrate(store_url)
    assert objects(store_url) == before


def test_a_schema_behind_is_told_to_migrate(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        a_further_migration(tmp_path, monkeypatch, "SELECT 1") as head,
        database.connect(store_url) as connection,
    ):
        with pytest.raises(SchemaMismatchError, match=rf"is behind: .* needs {head}.*migrate`\.$"):
            migrations.check(connection)
        migrations.migrate(store_url)
        migrations.check(connection)


def test_a_migration_that_fails_changes_nothing_at_all(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = "CREATE TABLE half_done (); SELECT 1 / 0"
    with (
        a_further_migration(tmp_path, monkeypatch, failing),
        pytest.raises(Exception, match="division by zero"),
    ):
        migrations.migrate(database_url)
    assert objects(database_url) == set()
    with database.connect(database_url) as connection:
        assert migrations.current(connection) is None


def test_what_depends_on_what_is_replaced_is_named(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(store_url) as connection:
        connection.execute("CREATE VIEW mine AS SELECT * FROM positions_as_of(now())")
    with (
        a_further_migration(tmp_path, monkeypatch, "DROP FUNCTION positions_as_of"),
        pytest.raises(PositionstoreError, match=r"view mine depends on .*\(.*\)\. Drop what"),
    ):
        migrations.migrate(store_url)
    with database.connect(store_url) as connection:
        assert migrations.current(connection) == migrations.head()


def test_two_at_once_take_turns(any_database_url: str) -> None:
    outcomes: list[tuple[str | None, str | None]] = []
    with psycopg.connect(any_database_url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        threads = [
            threading.Thread(target=lambda: outcomes.append(migrations.migrate(any_database_url)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        waiting = """
            SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
        """
        while gate.execute(waiting).fetchone() != (2,):
            assert any(thread.is_alive() for thread in threads)
        gate.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        for thread in threads:
            thread.join()
    head = migrations.head()
    assert sorted(outcomes, key=str) == sorted([(None, head), (head, head)], key=str)


# --- where the database is -----------------------------------------------------------------


def usable(url: str) -> None:
    """The whole way of a store: no schema, migrated, checked, written to, taken back."""
    with database.connect(url) as connection:
        assert migrations.current(connection) is None
    migrations.migrate(url)
    with database.connect(url) as connection:
        migrations.check(connection)
        identity.claim(connection, Environment.SANDBOX)
    migrations.migrate(url, down_to="base")


def test_a_socket_directory_as_host(embedded_server: EmbeddedServer, database_url: str) -> None:
    parts = conninfo_to_dict(database_url)
    (socket,) = embedded_server.data_dir.rglob(f".s.PGSQL.{parts['port']}")
    user, password = str(parts["user"]), str(parts["password"])
    query = urlencode({"host": str(socket.parent), "port": str(parts["port"])})
    usable(f"postgresql://{quote(user)}:{quote(password)}@/{parts['dbname']}?{query}")


def test_keywords_and_values_in_place_of_a_url(database_url: str) -> None:
    parts = conninfo_to_dict(database_url)
    usable(" ".join(f"{key}='{value}'" for key, value in parts.items()))


@pytest.mark.parametrize(
    "name", ["per%cent", "a@b", "sla/sh", "que?ry", "ha#sh", "sp ace", "ümläut%41"]
)
def test_a_database_and_a_password_with_special_characters(
    embedded_server: EmbeddedServer, database_url: str, name: str
) -> None:
    parts = conninfo_to_dict(database_url)
    unique = f"{parts['dbname']}{name}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        identifier = sql.Identifier(unique)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(name))
        )
        connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(identifier))
        try:
            usable(
                f"postgresql://{quote(unique, safe='')}:{quote(name, safe='')}"
                f"@{parts['host']}:{parts['port']}/{quote(unique, safe='')}"
            )
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
            connection.execute(sql.SQL("DROP ROLE {}").format(identifier))


def in_schema(url: str, search_path: str) -> str:
    return make_conninfo(url, options=f"-csearch_path={search_path}")


def test_another_schema_than_public(any_database_url: str) -> None:
    with psycopg.connect(any_database_url) as connection:
        connection.execute("CREATE SCHEMA book")
    migrations.migrate(in_schema(any_database_url, "book"))
    made = objects(any_database_url)
    assert "table book.events" in made
    assert all("book." in name or "toast" in name for name in made), made
    migrations.migrate(in_schema(any_database_url, "book"), down_to="base")
    assert objects(any_database_url) == set()


def test_two_stores_in_two_schemas_of_one_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE SCHEMA book")
    migrations.migrate(database_url)
    book = in_schema(database_url, "book,public")
    with database.connect(book) as connection:
        assert migrations.current(connection) is None
    migrations.migrate(book)
    with database.connect(book) as connection:
        identity.claim(connection, Environment.PRODUCTION)
    with database.connect(database_url) as connection:
        identity.claim(connection, Environment.SANDBOX)


def test_a_search_path_that_names_no_schema_is_said_in_one_line(database_url: str) -> None:
    nowhere = in_schema(database_url, "nowhere")
    with (
        database.connect(nowhere) as connection,
        pytest.raises(ConfigurationError, match=r"search_path.*CREATE SCHEMA"),
    ):
        migrations.check(connection)
    with pytest.raises(ConfigurationError, match=r"search_path.*CREATE SCHEMA"):
        migrations.migrate(nowhere)


@pytest.mark.superuser
def test_a_database_in_another_locale(postgres: Server, any_database_url: str) -> None:
    name = sql.Identifier(f"{conninfo_to_dict(any_database_url)['dbname']}_icu")
    with psycopg.connect(any_database_url, autocommit=True) as connection:
        try:
            connection.execute(
                sql.SQL(
                    "CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'"
                ).format(name)
            )
        except psycopg.errors.FeatureNotSupported as error:
            pytest.skip(str(error))
        try:
            usable(postgres.url(name.as_string().strip('"')))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
