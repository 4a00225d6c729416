"""A view shows what its reader may see, and to whom the tables are granted, all views are."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from support.factories import event, moment, received, wire_time
from support.postgres import ON_CITUS
from support.roles import connected, roles_on
from support.stranger import a_role

from positionstore.model.facts import Retraction
from positionstore.store import database
from positionstore.store.access import RELATIONS
from positionstore.store.appender import Appender
from positionstore.store.grants import Role

pytestmark = pytest.mark.superuser

OURS = """relnamespace = current_schema()::regnamespace AND NOT EXISTS (
    SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e'
)"""
GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    # ALL TABLES reaches no view of a worker.
    *(f"GRANT SELECT ON {name} TO {{role}}" for name in RELATIONS if ON_CITUS),
)
CALLS = (
    "fold_facts()",
    "facts_as_of('infinity')",
    "positions_as_of('infinity')",
    "book_changes('-infinity', 'infinity')",
    "events_after(0)",
)
MINE, THEIRS = "dm_mine", "dm_theirs"


def fill(connection: psycopg.Connection) -> None:
    """Put something into the store that each view shows, of two positions."""
    add_sessions(connection)
    appender = Appender(connection)
    for position in (MINE, THEIRS):
        appender.append([received(notification(f"{position}_live"))])
        entry = {"entry": {"opened_at": wire_time(0), "notional_usd_pips": 1}}
        for name, status in (("live", "open"), ("over", "closed")):
            key = f"{position}_{name}"
            appender.append([event(f"e_{key}", position=key, status=status, body=entry)])
        appender.append([event("e_again", position=f"{position}_live", at=1, body=entry)])
        appender.append_retractions(
            [Retraction(f"{position}_live", "e_again", "Wrong.", moment(2))], moment(3)
        )


def notification(position: str) -> bytes:
    """An event that tells the customer of a position."""
    data = {"code": "PARTIAL_OPEN_PROGRESS", "params": {"position_id": position}}
    told = {"id": f"e_{position}_told", "type": "notification.created", "data": data}
    return json.dumps(told | {"created_at": wire_time(1)}).encode()


def add_sessions(connection: psycopg.Connection) -> None:
    """Two, with a gap between them."""
    for start in (0, 100):
        connection.execute(
            "INSERT INTO stream_sessions (gateway, started_at, last_seen_at, ended_at)"
            " VALUES ('partner', %s, %s, %s)",
            [moment(start), moment(start + 10), moment(start + 10)],
        )


def views(connection: psycopg.Connection) -> list[str]:
    found = connection.execute(f"SELECT relname FROM pg_class WHERE relkind = 'v' AND {OURS}")
    return [name for (name,) in found]


def count(connection: psycopg.Connection, view: str) -> int:
    # Each column, since one that is not asked for is not made.
    ask = "SELECT count(v::text) FROM {} v"
    row = connection.execute(sql.SQL(ask).format(sql.Identifier(view))).fetchone()
    return int(row[0]) if row else 0


@pytest.fixture
def admin(any_store_url: str) -> Iterator[psycopg.Connection]:
    with connected(any_store_url) as connection:
        fill(connection)
    with connected(any_store_url) as connection:
        yield connection


@pytest.fixture
def reader(any_store_url: str, admin: psycopg.Connection) -> Iterator[psycopg.Connection]:
    with a_role(any_store_url, *GRANTS) as (_, url), connected(url) as connection:
        yield connection


def test_every_view_reads_with_its_reader_s_rights(any_store_url: str) -> None:
    with connected(any_store_url) as connection:
        owners = connection.execute(f"""
            SELECT relname FROM pg_class
            WHERE relkind IN ('v', 'm') AND {OURS}
                AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)
        """).fetchall()
    assert owners == []


@pytest.mark.in_public
@pytest.mark.parametrize("has_roles", [False, True], ids=["a store of one role", "of three"])
def test_select_on_all_tables_is_enough_to_read_every_view(
    any_store_url: str, admin: psycopg.Connection, *, has_roles: bool
) -> None:
    with ExitStack() as stack:
        if has_roles:
            stack.enter_context(roles_on(any_store_url))
            # Which an installation with roles takes from PUBLIC.
            stack.enter_context(a_role(any_store_url, *GRANTS))
        connect = "GRANT CONNECT ON DATABASE {database} TO {role}"
        _, url = stack.enter_context(a_role(any_store_url, *GRANTS, connect))
        reader = stack.enter_context(connected(url))
        names = views(admin)
        assert len(names) >= 10
        assert {name: count(reader, name) for name in names} == {
            name: count(admin, name) for name in names
        }
        for call in CALLS:
            ask = f"SELECT * FROM {call}".encode()
            read, whole = (sorted(each.execute(ask), key=str) for each in (reader, admin))
            assert read == whole
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM positions")


@pytest.mark.in_public
def test_without_a_right_to_the_table_a_view_shows_nothing(
    any_store_url: str, admin: psycopg.Connection
) -> None:
    one = "GRANT SELECT ON {} TO {{role}}"
    for name in views(admin):
        with (
            a_role(any_store_url, GRANTS[0], one.format(name)) as (_, url),
            connected(url) as reader,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            count(reader, name)


@pytest.mark.in_public
def test_row_security_of_every_table_holds_through_every_view(
    admin: psycopg.Connection, reader: psycopg.Connection
) -> None:
    names = views(admin)
    assert {name for name in names if not count(reader, name)} == set()
    for (table,) in admin.execute(
        f"SELECT relname FROM pg_class WHERE relkind = 'r' AND {OURS}"
    ).fetchall():
        # Without a policy only the owner sees a row.
        admin.execute(
            sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(sql.Identifier(table))
        )
    assert {name: count(reader, name) for name in names if count(reader, name)} == {}
    assert {name for name in names if not count(admin, name)} == set()
    for call in CALLS:
        assert reader.execute(f"SELECT * FROM {call}".encode()).fetchall() == []


@pytest.mark.in_public
def test_a_policy_on_positions_and_events_holds_through_every_view(
    admin: psycopg.Connection, reader: psycopg.Connection
) -> None:
    for table in ("events", "positions"):
        name = sql.Identifier(table)
        admin.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name))
        policy = "CREATE POLICY desk ON {} USING (position_id LIKE {})"
        admin.execute(sql.SQL(policy).format(name, sql.Literal(f"{MINE}%")))
    of_positions = admin.execute(f"""
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relkind = 'v' AND {OURS} AND attname = 'position_id'
    """).fetchall()
    assert len(of_positions) >= 8
    for (view,) in of_positions:
        ask = sql.SQL("SELECT DISTINCT position_id FROM {}").format(sql.Identifier(view))
        seen = {position for (position,) in reader.execute(ask)}
        assert seen, view
        assert {position for position in seen if not position.startswith(MINE)} == set(), view
        assert len(admin.execute(ask).fetchall()) == 2 * len(seen)
    daily = "SELECT sum(opened) FROM daily_activity"
    assert (reader.execute(daily).fetchone(), admin.execute(daily).fetchone()) == ((2,), (4,))


@pytest.mark.in_public
@pytest.mark.not_on_citus("a policy on one spread table cannot ask another")
def test_what_the_page_says_lets_a_desk_see_its_wallets(
    any_store_url: str, admin: psycopg.Connection
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "roles.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Readers of your own\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    for_all, for_a_desk = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    wallet = {"wallet_address": "0xabc"}
    with roles_on(any_store_url) as urls, a_role(any_store_url) as (name, url):
        writer = conninfo_to_dict(urls[Role.WRITER])["user"]

        def said(block: str) -> bytes:
            for word, real in (
                ("DATABASE positions", f"DATABASE {admin.info.dbname}"),
                ("positionstore_writer", f"{writer}"),
                (" ana", f" {name}"),
            ):
                block = block.replace(word, real)
            return block.encode()

        for statement in said(for_all + for_a_desk).split(b";")[:-1]:
            admin.execute(statement)
        with database.connect(urls[Role.WRITER]) as connection:
            Appender(connection).append([event("e_desk", position="dm_desk", body=wallet)])
        with connected(url) as reader:
            for view in ("open_positions", "fact_positions", "position_timeline"):
                ask = sql.SQL("SELECT position_id FROM {}").format(sql.Identifier(view))
                assert reader.execute(ask).fetchall() == [("dm_desk",)]


def test_the_writer_passes_by_a_policy_or_says_so(
    any_store_url: str, admin: psycopg.Connection
) -> None:
    """A row that it does not see would be a difference that is none: so it is an error."""
    with roles_on(any_store_url) as urls:
        admin.execute("ALTER TABLE positions ENABLE ROW LEVEL SECURITY")
        with database.connect(urls[Role.WRITER]) as writer:
            with pytest.raises(psycopg.Error, match="row-level security policy"):
                Appender(writer).append([event("e_new", position=f"{MINE}_live", at=9)])
            writer.rollback()
            admin.execute(
                sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(writer.info.user))
            )
            assert Appender(writer).append([event("e_new", position="dm_new")]).appended == 1
