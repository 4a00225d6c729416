"""A session of the database is ours, whatever the role, the database or the environment say."""

from contextlib import closing
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from support.further import a_further_migration
from support.programs import programs_on

from positionstore.cli.errors import explain
from positionstore.sandbox import Options, Sandbox
from positionstore.store import migrations, session
from positionstore.store.database import Store, connect
from positionstore.store.db_errors import REMEDIES
from positionstore.store.read import arrow
from positionstore.store.read import query as selection

HOSTILE = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "array_nulls": "off",
    "statement_timeout": "300ms",
    "lock_timeout": "300ms",
    "idle_in_transaction_session_timeout": "300ms",
    "idle_session_timeout": "3s",
    "jit": "on",
    "plan_cache_mode": "force_generic_plan",
    "default_transaction_isolation": "serializable",
}


@pytest.fixture
def hostile_url(any_store_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store whose every session begins with the settings of others: database, environment."""
    with psycopg.connect(any_store_url, autocommit=True) as desk:
        for name, value in HOSTILE.items():
            if name != "standard_conforming_strings" or desk.info.server_version < 190_000:
                desk.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(desk.info.dbname), sql.SQL(name), sql.Literal(value)
                    )
                )
    for name, value in {
        "PGCLIENTENCODING": "LATIN1",
        "PGTZ": "Asia/Kathmandu",
        "PGDATESTYLE": "German",
        "PGOPTIONS": "-c IntervalStyle=iso_8601 -c statement_timeout=300",
    }.items():
        monkeypatch.setenv(name, value)
    return any_store_url


def test_every_setting_that_matters_is_ours(hostile_url: str) -> None:
    with closing(connect(hostile_url)) as connection:
        ours = session.settings(connection.info.server_version)
        found = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0]
            for name in ours
        }
        assert found == ours
        assert ours.keys() >= HOSTILE.keys()
        assert ours["row_security"] == "off"
        assert connection.execute("SELECT pg_sleep(0.4)").fetchone() is not None


def test_one_for_reading_leaves_row_security_as_it_is(hostile_url: str) -> None:
    with closing(connect(hostile_url, reads=True)) as connection:
        assert connection.execute("SHOW row_security").fetchone() == ("on",)


@pytest.mark.not_on_citus("sessions of workers take the settings of their database")
@pytest.mark.slow
async def test_every_command_works_on_such_a_database(hostile_url: str, tmp_path: Path) -> None:
    async with (
        Sandbox(Options(seed=7, ticking=False, partners=1, api_key_lists=True)) as sandbox,
        programs_on(hostile_url, tmp_path) as programs,
    ):
        programs.against(sandbox)
        await sandbox.step(60)
        envelopes = [bytes(record.envelope) for record in sandbox.records]
        title = b'"market_title":"'
        odd = [line.replace(title, title + "Zażółć 漢字 ".encode()) for line in envelopes]
        (tmp_path / "events.jsonl").write_bytes(b"\n".join(odd) + b"\n")
        await programs.run("import", "events.jsonl")
        await programs.run("reconcile", "--full", expect=0)
        for command in (
            ("migrate",),
            ("rebuild",),
            ("verify",),
            ("status", "--json"),
            ("tail", "--json", "--no-follow"),
            ("export", "positions", "--out", "positions.parquet"),
            ("export", "events", "--out", "events.csv"),
        ):
            await programs.run(*command)
    titles = pq.read_table(tmp_path / "positions.parquet")["market_title"].to_pylist()
    assert any("Zażółć 漢字" in title for title in titles if title)
    assert "Zażółć 漢字" in (tmp_path / "events.csv").read_text(encoding="utf-8")


@pytest.mark.not_on_citus("earlier migrations are not run over tables that are spread")
def test_a_migration_is_not_ended_by_a_timeout_of_the_role(
    hostile_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_further_migration(tmp_path, monkeypatch, "SELECT pg_sleep(0.4)") as head:
        assert migrations.migrate(hostile_url)[1] == head
        assert migrations.migrate(hostile_url, down_to="base")[1] is None
    assert migrations.migrate(hostile_url) == (None, migrations.head())


def test_adbc_hands_over_text_in_utf8(hostile_url: str) -> None:
    store = Store(hostile_url, embedded=False)
    with selection.reading(store, selection.QUERY) as connection:
        chosen = selection.of_query(connection, "SELECT 'Zażółć 漢字' AS word, now() AS moment")
    (batch,) = arrow.batches(store, chosen)
    assert batch["word"].to_pylist() == ["Zażółć 漢字"]


@pytest.mark.parametrize("state", sorted(REMEDIES))
def test_an_error_of_the_server_has_a_remedy_of_its_own(state: str, any_store_url: str) -> None:
    with (
        closing(connect(any_store_url)) as connection,
        pytest.raises(psycopg.Error) as raised,
    ):
        connection.execute(
            sql.SQL("DO $$ BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = {}; END $$").format(
                sql.Literal(state)
            )
        )
    told = str(explain(raised.value))
    assert told.startswith("PostgreSQL says: told so")
    assert REMEDIES[state] in told
