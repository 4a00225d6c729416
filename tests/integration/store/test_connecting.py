"""Connecting: what cannot be used is said in one line, and never with the password."""

import os

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support.factories import event

from positionstore.cli.errors import explain
from positionstore.embedded.server import EmbeddedServer
from positionstore.errors import ConfigurationError, DatabaseUnavailableError, PositionstoreError
from positionstore.store import database
from positionstore.store.appender import Appender
from positionstore.store.projection import verify
from positionstore.store.status import status


def said(url: str, error: type[PositionstoreError]) -> str:
    with pytest.raises(error) as raised:
        database.connect(url)
    line = str(raised.value)
    assert "\n" not in line
    assert "s3cret" not in line
    return line


def test_nobody_listens(database_url: str) -> None:
    away = make_conninfo(database_url, port=1, password="s3cret")
    line = said(away, DatabaseUnavailableError)
    assert "refused" in line
    assert line.endswith("Check DATABASE_URL and that the server runs.")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"password": "s3cret"}, "authentication failed"),
        ({"user": "nobody", "password": "s3cret"}, "authentication failed"),
        ({"dbname": "nowhere"}, '"nowhere" does not exist'),
        ({"host": "host..invalid", "password": "s3cret"}, "cannot be reached"),
    ],
)
def test_the_server_will_not_have_it(
    database_url: str, changed: dict[str, str], named: str
) -> None:
    url = make_conninfo(database_url, **changed)
    assert named in said(url, DatabaseUnavailableError)


def test_a_server_or_a_role_that_is_full_says_so(database_url: str) -> None:
    role = sql.Identifier("positionstore_test_full")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 's3cret' CONNECTION LIMIT 0").format(role)
        )
        try:
            url = make_conninfo(database_url, user="positionstore_test_full", password="s3cret")
            line = said(url, DatabaseUnavailableError)
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(role))
    assert "too many connections" in line
    assert line.endswith("or raise max_connections (or the role's CONNECTION LIMIT).")


def test_a_server_that_is_too_old(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_SERVER", 99)
    line = said(database_url, DatabaseUnavailableError)
    with psycopg.connect(database_url) as connection:
        assert str(connection.info.server_version // 10_000) in line
    assert "99 or newer" in line


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_does_not_hold_every_text(
    embedded_server: EmbeddedServer, database_url: str, encoding: str
) -> None:
    name = f"{conninfo_to_dict(database_url)['dbname']}_{encoding.lower()}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 LOCALE 'C' ENCODING {}").format(
                sql.Identifier(name), encoding
            )
        )
        try:
            assert encoding in said(embedded_server.url(name), ConfigurationError)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_the_client_s_encoding_changes_no_byte(
    any_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PGCLIENTENCODING", "LATIN1")
    for number, url in enumerate(
        [any_store_url, make_conninfo(any_store_url, client_encoding="LATIN1")]
    ):
        with database.connect(url) as connection:
            name = f"evt_é🦊{number}"
            Appender(connection).append([event(name, body={"market_title": "é🦊"})])
            row = connection.execute(
                "SELECT event_id, data ->> 'market_title' FROM events e JOIN positions p"
                " ON p.position_id = e.position_id AND p.last_event_id = e.event_id"
            ).fetchone()
            assert row == (name, "é🦊")


def test_times_are_utc_whatever_the_server_says(store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("""DO $$ BEGIN EXECUTE format(
            'ALTER DATABASE %I SET timezone = ''Asia/Kolkata''', current_database()); END $$""")
    with database.connect(store_url) as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_a_database_that_is_read_only_is_read_and_says_why_it_takes_nothing(
    any_store_url: str,
) -> None:
    with database.connect(any_store_url) as connection:
        Appender(connection).append([event("evt_1")])
        connection.execute("""DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET
            default_transaction_read_only = on', current_database()); END $$""")
    with database.connect(any_store_url) as connection:
        assert status(connection).log.last_seq == 1
        assert verify(connection) == []
    with (
        database.connect(any_store_url) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as raised,
    ):
        Appender(connection).append([event("evt_2")])
    assert "primary" in str(explain(raised.value))
