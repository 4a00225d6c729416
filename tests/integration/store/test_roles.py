"""What each role can do, and what it cannot."""

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import new_field
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from support.factories import event
from support.further import a_further_migration
from support.postgres import ON_CITUS, OWN_FUNCTIONS, SCHEMA
from support.roles import Urls, connected, drop_roles, roles_on

from positionstore.store import database, migrations
from positionstore.store.access import RELATIONS, RELATIONS_ON_CITUS, TYPES
from positionstore.store.appender import Appender
from positionstore.store.checks import checks
from positionstore.store.grants import Role, Roles
from positionstore.store.projection import rebuild, verify
from positionstore.store.roles import apply, plan, recorded, url_of

pytestmark = pytest.mark.superuser

DENIED: tuple[type[psycopg.Error], ...] = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ReadOnlySqlTransaction,
)
if ON_CITUS:
    # It refuses what it has in no way, and looks for a table, before it looks at privileges.
    DENIED += (
        psycopg.errors.FeatureNotSupported,
        psycopg.errors.UndefinedTable,
        psycopg.errors.InvalidSchemaName,
    )


@pytest.fixture
def urls(any_store_url: str) -> Iterator[Urls]:
    with roles_on(any_store_url) as urls:
        with closing(database.connect(urls[Role.WRITER])) as connection:
            Appender(connection).append([event("evt_1"), event("evt_2", at=1)])
        yield urls


def roles_in(urls: Urls) -> Roles:
    return Roles(str(conninfo_to_dict(urls[Role.OWNER])["user"]).removesuffix("_owner"))


def test_no_function_lends_its_owners_rights(any_store_url: str) -> None:
    """One that did would have to guard its search_path against its caller."""
    with connected(any_store_url) as connection:
        lending = connection.execute(
            "SELECT proname FROM pg_proc WHERE prosecdef"
            " AND pronamespace = current_schema()::regnamespace"
        ).fetchall()

    assert lending == []


# --- the writer -----------------------------------------------------------------------------

NOT_FOR_THE_WRITER = [
    "UPDATE events SET type = 'x'",
    "UPDATE events SET type = 'x' WHERE false",
    "DELETE FROM events",
    "DELETE FROM events WHERE false",
    "TRUNCATE events",
    "TRUNCATE positions",
    "SELECT seq FROM events FOR UPDATE",
    """INSERT INTO events (event_id, position_id, type, created_at, received_at, source, envelope)
       SELECT event_id, position_id, 'x', created_at, received_at, source, envelope FROM events
       ON CONFLICT (position_id, event_id) DO UPDATE SET type = excluded.type""",
    "ALTER TABLE events DISABLE TRIGGER events_are_append_only",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_are_append_only ON events",
    "SET session_replication_role = replica",
    """CREATE OR REPLACE FUNCTION refuse_change_of_events() RETURNS trigger
       LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'""",
    "ALTER TABLE events ADD COLUMN x text",
    "ALTER TABLE events RENAME TO gone",
    "ALTER TABLE events ALTER COLUMN seq RESTART WITH 1",
    "SELECT setval(pg_get_serial_sequence('events', 'seq'), 1)",
    "DROP TABLE events",
    "DROP VIEW open_positions",
    "CREATE RULE r AS ON INSERT TO events DO INSTEAD NOTHING",
    "CREATE TRIGGER t BEFORE INSERT ON events EXECUTE FUNCTION refuse_change_of_events()",
    "CREATE POLICY p ON events USING (false)",
    "CREATE TABLE public.x ()",
    "CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA x",
    "UPDATE position_statuses SET phase = 'live'",
    "INSERT INTO event_types VALUES ('x', 1, 'x')",
    "UPDATE alembic_version SET version_num = 'x'",
    "UPDATE store_identity SET environment = 'production'",
    "DELETE FROM stream_sessions",
    "DELETE FROM quarantine",
    "DELETE FROM reconciliation_runs",
    "COPY events TO PROGRAM 'cat'",
    "COPY pg_temp.x FROM PROGRAM 'echo 1'",
    "COPY events TO '/tmp/x'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE x",
]


def refused(connection: psycopg.Connection, statements: list[str]) -> dict[str, str]:
    """Try each; return what was not refused for want of a privilege, with what became of it."""
    wrong = {}
    for statement in statements:
        try:
            connection.execute(statement.encode())
        except DENIED:
            continue
        except psycopg.Error as error:
            wrong[statement] = f"{type(error).__name__}: {error}"
        else:
            wrong[statement] = "done"
    return wrong


def test_the_writer_cannot_change_a_fact_nor_the_schema(urls: Urls) -> None:
    with connected(urls[Role.WRITER]) as writer:
        writer.execute("CREATE TEMPORARY TABLE x (x text)")
        assert refused(writer, NOT_FOR_THE_WRITER) == {}
        assert writer.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_the_writer_cannot_become_anybody_else(urls: Urls, any_store_url: str) -> None:
    roles = roles_in(urls)
    admin = conninfo_to_dict(any_store_url)["user"]
    others = [roles.name(Role.OWNER), roles.name(Role.READER), admin]
    for role in (Role.WRITER, Role.READER):
        with connected(urls[role]) as connection:
            statements = [f'SET ROLE "{name}"' for name in others if name != roles.name(role)]
            statements += [f'SET SESSION AUTHORIZATION "{admin}"']
            assert refused(connection, statements) == {}


def test_the_writer_rebuilds_and_verifies(urls: Urls) -> None:
    with connected(urls[Role.WRITER]) as writer:
        writer.execute("UPDATE positions SET status = 'closed'")
        assert [each.kind for each in rebuild(writer)] == ["different"]
        assert verify(writer) == []


# --- the reader -----------------------------------------------------------------------------

NOT_FOR_THE_READER = [
    *NOT_FOR_THE_WRITER,
    *(f"INSERT INTO {name} DEFAULT VALUES" for name in ("quarantine", "store_identity")),
    "INSERT INTO events (event_id) VALUES ('x')",
    "DELETE FROM positions",
    "UPDATE positions SET status = 'x'",
    "UPDATE stream_sessions SET received = 0",
    "SELECT * FROM positions FOR SHARE",
    "DO $$ BEGIN LOCK TABLE positions IN ROW EXCLUSIVE MODE; END $$",
    "DO $$ BEGIN LOCK TABLE events IN ACCESS EXCLUSIVE MODE; END $$",
    "CREATE TEMPORARY TABLE x ()",
    "CREATE TEMPORARY VIEW x AS SELECT 1",
    "SELECT 1 AS x INTO TEMPORARY x",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT pg_advisory_lock(7305804402566050816)",
    "SELECT pg_advisory_xact_lock(7305804402566050816)",
    "SELECT pg_try_advisory_lock_shared(1, 1)",
    "SET temp_file_limit = -1",
]


def test_a_tool_lists_nothing_that_the_reader_may_not_read(urls: Urls) -> None:
    with connected(urls[Role.READER]) as reader:
        listed = reader.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
            " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')",
            [SCHEMA],
        ).fetchall()
        ours = RELATIONS | RELATIONS_ON_CITUS if ON_CITUS else RELATIONS
        assert {name for (name,) in listed} == {*ours}
        for (name,) in listed:
            reader.execute(f"SELECT * FROM {name} LIMIT 0".encode())


@pytest.mark.parametrize("read_only", ["on", "off"])
def test_the_reader_cannot_write_even_where_it_takes_its_seat_belt_off(
    urls: Urls, read_only: str
) -> None:
    with connected(urls[Role.READER]) as reader:
        assert reader.execute("SHOW transaction_read_only").fetchone() == ("on",)
        reader.execute(f"SET default_transaction_read_only = {read_only}".encode())
        assert refused(reader, NOT_FOR_THE_READER) == {}


def test_the_reader_reads_what_analysts_read(urls: Urls) -> None:
    with connected(urls[Role.READER]) as reader:
        for name, access in RELATIONS.items():
            if access.reader:
                reader.execute(f"SELECT * FROM {name}".encode()).fetchall()
        calls = (
            "positions_as_of(now())",
            "positions_as_of('2027-01-01', of_position => 'dm_pos_1')",
            "positions_as_of('2027-01-01', of_wallet => 'x')",
            "book_changes('2026-01-01', '2027-01-01')",
            "events_after(0)",
        )
        for call in calls:
            reader.execute(f"SELECT * FROM {call}".encode()).fetchall()
        assert reader.execute("SELECT count(*) FROM events_after(0)").fetchone() == (2,)


def test_a_long_report_of_the_reader_is_ended(urls: Urls) -> None:
    with connected(urls[Role.READER]) as reader:
        found = reader.execute("""
            SELECT name, setting FROM pg_settings WHERE name = ANY (ARRAY[
                'statement_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout',
                'transaction_timeout', 'temp_file_limit'
            ])
        """).fetchall()
        assert {name for name, setting in found if int(setting) <= 0} == set()
        assert len(found) == 5 if reader.info.server_version >= 170_000 else 4
        reader.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            reader.execute("SELECT pg_sleep(60)")


def test_readers_cannot_take_every_connection(any_store_url: str, urls: Urls) -> None:
    name = roles_in(urls).name(Role.READER)
    with connected(any_store_url) as admin:
        admin.execute(f"ALTER ROLE {name} CONNECTION LIMIT 2".encode())
    with (
        connected(urls[Role.READER]),
        connected(urls[Role.READER]),
        pytest.raises(psycopg.OperationalError, match="too many connections for role"),
        connected(urls[Role.READER]),
    ):
        pass


def test_nobody_else_gets_in(any_store_url: str, urls: Urls) -> None:
    name = f"{roles_in(urls).prefix}_stranger"
    with connected(any_store_url) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'".encode())
        try:
            with (
                pytest.raises(psycopg.OperationalError, match="permission denied for database"),
                connected(url_of(any_store_url, name, "x")),
            ):
                pass
        finally:
            admin.execute(f"DROP ROLE {name}".encode())


# --- the builder ----------------------------------------------------------------------------

ALLOWED_TO_THE_BUILDER = (
    "CREATE TEMPORARY TABLE x",
    "CREATE TEMPORARY VIEW x",
    "SELECT 1 AS x INTO TEMPORARY x",
)


def test_the_builder_reads_the_store_and_writes_in_its_own_schema_alone(urls: Urls) -> None:
    models = roles_in(urls).models
    with connected(urls[Role.BUILDER]) as builder, connected(urls[Role.READER]) as reader:
        for name in RELATIONS:
            builder.execute(f"SELECT * FROM {name}".encode()).fetchall()
        builder.execute("SELECT * FROM positions_as_of(now())").fetchall()
        builder.execute("CREATE TEMPORARY TABLE scratch AS SELECT position_id FROM positions")
        builder.execute(f"CREATE TABLE {models}.book AS SELECT * FROM open_positions".encode())
        builder.execute(f"CREATE VIEW {models}.ids AS SELECT position_id FROM positions".encode())
        for name in ("book", "ids"):
            found = reader.execute(f"SELECT count(*) FROM {models}.{name}".encode())
            assert found.fetchone() == (1,)
        denied = [
            *(each for each in NOT_FOR_THE_READER if not each.startswith(ALLOWED_TO_THE_BUILDER)),
            "CREATE TABLE public.x ()",
            f'SET ROLE "{roles_in(urls).name(Role.WRITER)}"',
            f'SET ROLE "{roles_in(urls).name(Role.OWNER)}"',
        ]
        builder.execute("DROP TABLE scratch")
        assert refused(builder, denied) == {}
        assert refused(reader, [f"CREATE TABLE {models}.y ()", f"DELETE FROM {models}.book"]) == {}


def test_a_policy_for_the_reader_is_the_builder_s_too(any_store_url: str, urls: Urls) -> None:
    with connected(any_store_url) as admin:
        admin.execute("ALTER TABLE positions ENABLE ROW LEVEL SECURITY")
        with connected(urls[Role.BUILDER]) as builder:
            assert builder.execute("SELECT count(*) FROM positions").fetchone() == (0,)
            reader = roles_in(urls).name(Role.READER)
            admin.execute(f"CREATE POLICY all_of_it ON positions TO {reader} USING (true)".encode())
            assert builder.execute("SELECT count(*) FROM positions").fetchone() == (1,)


@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_roles_of_before_the_builder_are_well_and_get_one(any_store_url: str, urls: Urls) -> None:
    roles = roles_in(urls)
    builder = roles.name(Role.BUILDER)
    with connected(any_store_url) as admin:
        admin.execute(f"CREATE TABLE {roles.models}.kept ()".encode())
        admin.execute(f"ALTER SCHEMA {roles.models} OWNER TO CURRENT_USER".encode())
        admin.execute(f"DROP OWNED BY {builder}; DROP ROLE {builder}".encode())
        assert recorded(admin) == Roles(roles.prefix, has_builder=False)
        assert [each.name for each in checks(admin) if not each.ok] == []
    migrations.migrate(urls[Role.OWNER])
    with connected(any_store_url) as admin:
        made = apply(admin, roles, keep=lambda _: None)
        assert list(made.passwords) == [Role.BUILDER]
        assert recorded(admin) == roles
        assert plan(admin, roles) == []
        builder_url = url_of(any_store_url, builder, made.passwords[Role.BUILDER])
        with connected(builder_url) as connection:
            connection.execute(f"ALTER TABLE {roles.models}.kept ADD COLUMN x int".encode())


# --- the owner, and migrations -----------------------------------------------------------------


@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_the_owner_migrates_and_adds_reference_rows(urls: Urls) -> None:
    migrations.migrate(urls[Role.OWNER], down_to="base")
    migrations.migrate(urls[Role.OWNER])
    with connected(urls[Role.OWNER]) as owner:
        owner.execute("INSERT INTO event_types VALUES ('position.new', 1, 'x')")
        with pytest.raises(psycopg.Error, match="append-only"):
            owner.execute("DELETE FROM events")
        refusals = [
            "CREATE ROLE x",
            "COPY events TO PROGRAM 'cat'",
            "SET session_replication_role = replica",
        ]
        assert refused(owner, refusals) == {}


@pytest.mark.parametrize(
    "migrator",
    [pytest.param("owner", marks=pytest.mark.not_on_citus(OWN_FUNCTIONS)), "superuser"],
)
def test_what_a_migration_makes_is_at_once_for_whom_it_should_be(
    any_store_url: str,
    urls: Urls,
    migrator: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = urls[Role.OWNER] if migrator == "owner" else any_store_url
    made_again = (
        "DROP VIEW open_positions",
        new_field.newest("views/open_positions"),
        "DROP FUNCTION positions_as_of",
        new_field.newest("functions/positions_as_of"),
    )
    with a_further_migration(tmp_path, monkeypatch, ";".join(made_again)):
        migrations.migrate(url)
    with connected(any_store_url) as admin:
        assert recorded(admin) == roles_in(urls)
        assert plan(admin, roles_in(urls)) == []
    with connected(urls[Role.READER]) as reader:
        assert reader.execute("SELECT count(*) FROM open_positions").fetchone() == (1,)


def test_what_the_owner_makes_by_hand_is_for_nobody(urls: Urls) -> None:
    with connected(urls[Role.OWNER]) as owner:
        owner.execute("CREATE TABLE secret (x text)")
        owner.execute("CREATE FUNCTION tell() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    for role in (Role.WRITER, Role.READER):
        with connected(urls[role]) as connection:
            assert refused(connection, ["SELECT * FROM secret", "SELECT tell()"]) == {}


# --- applying -------------------------------------------------------------------------------


def test_to_apply_it_again_does_nothing_and_keeps_what_was_set(
    any_store_url: str, urls: Urls
) -> None:
    roles = roles_in(urls)
    with connected(any_store_url) as admin:
        reader = roles.name(Role.READER)
        admin.execute(f"ALTER ROLE {reader} SET statement_timeout = '1h'".encode())
        applied = apply(admin, roles, keep=lambda _: None)
    assert (applied.statements, applied.passwords, applied.open_doors) == ([], {}, False)
    with connected(urls[Role.READER]) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1h",)


@pytest.mark.in_public
def test_what_was_granted_by_mistake_is_taken_back(any_store_url: str, urls: Urls) -> None:
    roles = roles_in(urls)
    mistakes = [
        "GRANT ALL ON events TO PUBLIC",
        f"GRANT UPDATE, TRUNCATE ON events TO {roles.name(Role.WRITER)}",
        f"GRANT INSERT ON positions TO {roles.name(Role.READER)}",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "GRANT TEMPORARY, CONNECT ON DATABASE {} TO PUBLIC",
        "GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC",
        "ALTER VIEW open_positions OWNER TO CURRENT_USER",
    ]
    with connected(any_store_url) as admin:
        for mistake in mistakes:
            admin.execute(mistake.format(conninfo_to_dict(any_store_url)["dbname"]).encode())
        assert len(plan(admin, roles)) >= len(mistakes)
        apply(admin, roles, keep=lambda _: None)
        assert plan(admin, roles) == []
    with connected(urls[Role.WRITER]) as writer, connected(urls[Role.READER]) as reader:
        assert refused(writer, ["UPDATE events SET type = 'x'"]) == {}
        assert refused(reader, ["SELECT pg_advisory_lock(1)", "CREATE TEMP TABLE x ()"]) == {}


def test_what_is_printed_is_what_is_executed(any_store_url: str) -> None:
    roles = Roles(f"{conninfo_to_dict(any_store_url)['dbname']}_x")
    with connected(any_store_url) as admin:
        printed = plan(admin, roles)
        assert plan(admin, roles) == printed  # nothing was done
        try:
            for statement in printed:
                admin.execute(statement.encode())
            assert plan(admin, roles) == []
            with (
                pytest.raises(psycopg.OperationalError, match="password"),
                connected(url_of(any_store_url, roles.name(Role.READER), "x")),
            ):
                pass
        finally:
            drop_roles(any_store_url, roles)


@pytest.mark.in_public
@pytest.mark.not_on_citus(OWN_FUNCTIONS)
def test_a_role_that_is_no_superuser_may_make_them(any_store_url: str) -> None:
    """As on a managed server: it owns the database, and may make roles."""
    name = f"{conninfo_to_dict(any_store_url)['dbname']}_dba"
    roles = Roles(f"{name}_x")
    with connected(any_store_url) as admin:
        dbname = conninfo_to_dict(any_store_url)["dbname"]
        admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'".encode())
        admin.execute(f"ALTER DATABASE {dbname} OWNER TO {name}".encode())
        url = url_of(any_store_url, name, "x")
        try:
            with suppress(psycopg.Error), connected(any_store_url) as sweep:
                # Made by the superuser's template; on a managed server they are its own.
                for table in RELATIONS:
                    sweep.execute(f"ALTER TABLE {table} OWNER TO {name}".encode())
            with connected(any_store_url) as sweep:
                for statement in sweep.execute(
                    "SELECT format('ALTER FUNCTION %s OWNER TO " + name + "', oid::regprocedure)"
                    " FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                ).fetchall():
                    sweep.execute(statement[0].encode())
                for type_ in TYPES:
                    sweep.execute(f"ALTER TYPE {type_} OWNER TO {name}".encode())
            kept: dict[Role, str] = {}
            with connected(url) as dba:
                applied = apply(dba, roles, keep=kept.update)
                assert applied.open_doors
                assert apply(dba, roles, keep=lambda _: None).statements == []
            assert set(kept) == set(Role)
            migrations.migrate(url_of(any_store_url, roles.name(Role.OWNER), kept[Role.OWNER]))
            with closing(
                database.connect(url_of(any_store_url, roles.name(Role.WRITER), kept[Role.WRITER]))
            ) as writer:
                assert Appender(writer).append([event("evt_1")]).appended == 1
        finally:
            drop_roles(any_store_url, roles)
            admin.execute(f"ALTER DATABASE {dbname} OWNER TO CURRENT_USER".encode())
            admin.execute(f"REASSIGN OWNED BY {name} TO {admin.info.user}".encode())
            admin.execute(f"DROP OWNED BY {name}".encode())
            admin.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize(
    ("url", "made"),
    [
        (
            "postgresql://old:pw@h:5/db?sslmode=require&password=x",
            "postgresql://a_b:p%40%2F@h:5/db?sslmode=require",
        ),
        ("postgresql:///db?host=%2Frun", "postgresql://a_b:p%40%2F@/db?host=%2Frun"),
        (
            "host=h user=old password=x dbname=db",
            "host=h dbname=db user=a_b password='p@/'",
        ),
    ],
)
def test_the_url_of_another_role(url: str, made: str, tmp_path: Path) -> None:
    found = conninfo_to_dict(url_of(url, "a_b", "p@/"))
    assert found == conninfo_to_dict(made)
    assert found["password"] == "p@/"
