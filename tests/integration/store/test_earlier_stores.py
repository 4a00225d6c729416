"""A store of an earlier version, with its data, is brought to head and goes on."""

import re
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from support import earlier_store
from support.earlier_store import schema_of
from support.factories import event, moment
from support.postgres import Server, fresh_database
from support.typed_in import rows

from positionstore.model.address import one_spelling
from positionstore.store import database, migrations, projection, restored
from positionstore.store.appender import Appender

pytestmark = pytest.mark.in_public

COLUMNS = """
    SELECT relname, string_agg(quote_ident(attname), ', ' ORDER BY attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
      AND attnum > 0 AND NOT attisdropped
    GROUP BY relname ORDER BY relname
"""


ADDRESSES = "SELECT position_id, wallet_address, on_chain_position_key FROM positions ORDER BY 1"
MIXED = "0xAbCdEf0123456789aBcDeF0123456789abcdef01"


@pytest.fixture
def earlier_url(any_database_url: str) -> str:
    """The URL of the earlier store."""
    earlier_store.restore(any_database_url)
    return any_database_url


@pytest.fixture
def another_url(postgres: Server) -> Iterator[str]:
    """A second database, empty."""
    with fresh_database(postgres) as url:
        yield url


def test_a_store_of_b0076ff_keeps_all_it_has_and_goes_on(earlier_url: str) -> None:
    columns = rows(earlier_url, COLUMNS)
    reading = {table: f"SELECT {names} FROM {table} ORDER BY 1, 2" for table, names in columns}
    before = {table: rows(earlier_url, query) for table, query in reading.items()}
    counted = {"events": 441, "positions": 247, "quarantine": 2, "reconciliation_runs": 2}
    assert {table: len(before[table]) for table in counted} == counted
    assert rows(earlier_url, "SELECT max(seq) FROM events") == [(453,)]

    assert migrations.migrate(earlier_url) == ("0010", migrations.head())

    for table, query in reading.items():
        # The types of events that are known may be more.
        kept = [row for row in rows(earlier_url, query) if row in before[table]]
        assert kept == before[table], table
    with closing(database.connect(earlier_url)) as connection:
        assert projection.verify(connection) == []
        appended = Appender(connection).append([event("evt_after_the_upgrade")])
    assert appended.last_seq == 454
    with closing(database.connect(earlier_url)) as connection:
        assert projection.verify(connection) == []


def test_it_gets_the_schema_of_a_new_store(earlier_url: str, another_url: str) -> None:
    migrations.migrate(earlier_url)
    migrations.migrate(another_url)
    assert schema_of(earlier_url) == schema_of(another_url)
    for words in ("position_statuses", "event_types"):
        every = f"SELECT * FROM {words} ORDER BY 1"
        assert rows(earlier_url, every) == rows(another_url, every)


@pytest.fixture
def url_at_0021(any_database_url: str) -> str:
    """The URL of a store of 0021."""
    earlier_store.restore(any_database_url, "0021_schema")
    with psycopg.connect(any_database_url) as connection:
        connection.execute("INSERT INTO alembic_version VALUES ('0021')")
    return any_database_url


def test_a_store_at_0021_gets_the_schema_of_a_new_store(url_at_0021: str, another_url: str) -> None:
    assert migrations.migrate(url_at_0021) == ("0021", migrations.head())
    migrations.migrate(another_url)
    assert schema_of(url_at_0021) == schema_of(another_url)


def test_a_step_back_leaves_the_schema_of_0021(url_at_0021: str, another_url: str) -> None:
    migrations.migrate(another_url)
    migrations.migrate(another_url, down_to="0021")

    def but_storage(url: str) -> str:
        # It is chosen by whether the server has lz4, and the dump's had not.
        return re.sub(r"\nWITH \([^)]*\);", ";", schema_of(url))

    assert but_storage(another_url) == but_storage(url_at_0021)
    assert migrations.migrate(another_url) == ("0021", migrations.head())


def test_views_that_are_made_again_keep_whom_they_were_granted_to(url_at_0021: str) -> None:
    granted = """
        SELECT relname, privilege_type, is_grantable
        FROM pg_class, aclexplode(relacl) WHERE grantee = '"a dashboard"'::regrole ORDER BY 1, 2
    """
    with psycopg.connect(url_at_0021, autocommit=True) as connection:
        connection.execute('CREATE ROLE "a dashboard"')
        try:
            connection.execute('GRANT SELECT ON open_positions TO "a dashboard"')
            connection.execute(
                'GRANT SELECT, UPDATE ON daily_activity TO "a dashboard" WITH GRANT OPTION'
            )
            before = connection.execute(granted).fetchall()
            assert len(before) == 3
            migrations.migrate(url_at_0021)
            assert connection.execute(granted).fetchall() == before
        finally:
            connection.execute('GRANT "a dashboard" TO CURRENT_USER')  # which no superuser needs
            connection.execute('DROP OWNED BY "a dashboard"; DROP ROLE "a dashboard"')


def test_addresses_get_one_spelling(earlier_url: str) -> None:
    with psycopg.connect(earlier_url) as connection:
        connection.execute(
            "UPDATE positions SET wallet_address = %s WHERE position_id = ("
            " SELECT min(position_id) FROM positions WHERE wallet_address LIKE '0x%%')",
            [MIXED],
        )
        connection.execute(
            "UPDATE positions SET on_chain_position_key = '7xKXtg' WHERE position_id = ("
            " SELECT max(position_id) FROM positions)"
        )
    before = rows(earlier_url, ADDRESSES)
    migrations.migrate(earlier_url)

    def spelled(value: object) -> object:
        return one_spelling(value) if isinstance(value, str) else value

    after = rows(earlier_url, ADDRESSES)
    assert after == [(name, *map(spelled, addresses)) for name, *addresses in before]
    assert after != before
    assert any(key == "7xKXtg" for *_, key in after)


def test_facts_that_share_a_seq_get_numbers_of_their_own(earlier_url: str) -> None:
    add = """
        INSERT INTO events (event_id, position_id, type, created_at, received_at, source, envelope)
        VALUES (%s, 'p', 'position.opened', now(), %s, 'partner', '{"data": {}}')
    """
    held = "SELECT event_id, seq FROM events WHERE position_id = 'p' ORDER BY seq, received_at"
    with psycopg.connect(earlier_url, autocommit=True) as connection:
        for name, at in (("a", 1), ("b", 2), ("c", 3)):
            connection.execute(add, [name, moment(at)])
        connection.execute("ALTER TABLE events ALTER COLUMN seq RESTART WITH 454")
        for name, at in (("y", 12), ("x", 11)):
            connection.execute(add, [name, moment(at)])
        assert connection.execute(held).fetchall() == [
            ("a", 454), ("y", 454), ("b", 455), ("x", 455), ("c", 456)
        ]  # fmt: skip

        migrations.migrate(earlier_url)

        assert connection.execute(held).fetchall() == [
            ("a", 454), ("b", 455), ("c", 456), ("y", 457), ("x", 458)
        ]  # fmt: skip
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("UPDATE events SET type = 'x'")


def test_it_is_brought_up_in_one_transaction(
    earlier_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema_of(earlier_url)
    with monkeypatch.context() as patched:
        patched.setattr(restored, "put_right", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            migrations.migrate(earlier_url)
    assert schema_of(earlier_url) == before
    with closing(database.connect(earlier_url)) as connection:
        assert migrations.current(connection) == "0010"
