"""What a restore leaves otherwise is seen by ``status`` and put right by ``migrate``."""

import psycopg
import pytest
from support.factories import event

from positionstore.store import migrations
from positionstore.store.appender import Appender
from positionstore.store.restored import Guard, guard
from positionstore.store.status import status

NO_LZ4 = "SELECT 'lz4' <> ALL (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
LAYOUT = "SELECT reloptions FROM pg_class WHERE oid = 'positions'::regclass"


def value(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.not_on_citus("a trigger of a table that is spread cannot be switched")
@pytest.mark.parametrize(("how", "found"), [("ENABLE", Guard.RESTS), ("DISABLE", Guard.OFF)])
def test_a_trigger_that_does_not_work_for_all_is_seen_and_put_right(
    connection: psycopg.Connection, any_store_url: str, how: str, found: Guard
) -> None:
    connection.execute(f"ALTER TABLE events {how} TRIGGER events_are_append_only".encode())
    assert status(connection).guard is found
    said: list[str] = []

    migrations.migrate(any_store_url, say=said.append)

    assert guard(connection) is status(connection).guard is Guard.WHOLE
    assert [line for line in said if "trigger" in line]


@pytest.mark.not_on_citus("a trigger of a table that is spread cannot be switched")
def test_a_trigger_that_is_missing_is_seen(connection: psycopg.Connection) -> None:
    connection.execute("DROP TRIGGER events_are_append_only ON events")

    assert status(connection).guard is Guard.MISSING


def test_no_column_names_a_compression(connection: psycopg.Connection) -> None:
    named = """
        SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = current_schema()::regnamespace AND a.attcompression <> ''
    """
    assert value(connection, named) == 0


@pytest.mark.not_on_citus("what workers compress with is a setting of their servers")
def test_who_writes_compresses_by_lz4_where_the_server_has_it(
    connection: psycopg.Connection, appender: Appender
) -> None:
    appender.append([event("evt_1", body={"market_title": "x" * 5_000})])
    best = "pglz" if value(connection, NO_LZ4) else "lz4"
    assert value(connection, "SELECT pg_column_compression(envelope) FROM events") == best


def test_positions_are_laid_out_for_the_server_at_hand(
    connection: psycopg.Connection, any_store_url: str
) -> None:
    ours = value(connection, LAYOUT)
    other = (
        "RESET (toast_tuple_target), SET (fillfactor = 70)"
        if value(connection, NO_LZ4)
        else "SET (toast_tuple_target = 8160, fillfactor = 100)"
    )
    connection.execute(f"ALTER TABLE positions {other}".encode())
    assert value(connection, LAYOUT) != ours

    migrations.migrate(any_store_url)

    assert sorted(value(connection, LAYOUT)) == sorted(ours)  # type: ignore[call-overload] # a list of texts
