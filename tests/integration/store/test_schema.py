"""The schema: what the migrations make is what SQLAlchemy says, and all of it is explained."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
import sqlalchemy
from support.postgres import fresh_database

from positionstore.embedded.server import EmbeddedServer
from positionstore.model.fields import FIELDS, Kind
from positionstore.store import database, schema

COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attidentity::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid),
        a.attcollation::regcollation::text
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0
        AND NOT a.attisdropped AND c.relname <> 'alembic_version'
    ORDER BY c.relname, a.attnum
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid)
    FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'
        AND conrelid <> 0 AND conrelid <> coalesce(to_regclass('alembic_version')::oid, 0)
    ORDER BY 1, 2, 3
"""
INDEXES = """
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = current_schema() AND tablename <> 'alembic_version'
    ORDER BY 1, 2
"""


def tables(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All that PostgreSQL knows of the tables, but their comments and how they are stored."""
    with psycopg.connect(url) as connection:
        return {
            "columns": connection.execute(COLUMNS).fetchall(),
            "constraints": connection.execute(CONSTRAINTS).fetchall(),
            "indexes": connection.execute(INDEXES).fetchall(),
        }


def engine_of(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url),
        poolclass=sqlalchemy.NullPool,
    )


@pytest.fixture(scope="module")
def said_by_sqlalchemy(postgres: EmbeddedServer) -> Iterator[dict[str, list[tuple[object, ...]]]]:
    with fresh_database(postgres) as url:
        schema.metadata.create_all(engine_of(url))
        yield tables(url)


def test_the_migrations_make_what_sqlalchemy_says(
    any_store_url: str, said_by_sqlalchemy: dict[str, list[tuple[object, ...]]]
) -> None:
    made = tables(any_store_url)
    for what, said in said_by_sqlalchemy.items():
        assert made[what] == said, what


@pytest.mark.parametrize(
    "mutation",
    [
        "ALTER TABLE positions ADD COLUMN surprise text",
        "ALTER TABLE positions DROP COLUMN close_reason CASCADE",
        "ALTER TABLE positions ALTER COLUMN data DROP NOT NULL",
        "ALTER TABLE events ALTER COLUMN received_at SET DEFAULT now()",
        "ALTER TABLE events ALTER COLUMN seq DROP IDENTITY",
        "ALTER TABLE events DROP CONSTRAINT events_pkey",
        "ALTER TABLE events DROP CONSTRAINT events_source_check",
        "ALTER TABLE quarantine ALTER COLUMN detail TYPE varchar(80)",
        'ALTER TABLE stream_sessions ALTER COLUMN gateway TYPE text COLLATE "default"',
        "DROP INDEX positions_wallet",
        "DROP INDEX events_snapshots; CREATE INDEX events_snapshots ON events (position_id)",
        "CREATE TABLE surprise (a int)",
        "DROP TABLE store_identity",
        "ALTER TABLE position_statuses ALTER COLUMN is_terminal DROP EXPRESSION",
    ],
)
def test_the_comparison_sees_every_kind_of_difference(store_url: str, mutation: str) -> None:
    before = tables(store_url)
    with psycopg.connect(store_url) as connection:
        connection.execute(mutation)
    assert tables(store_url) != before


def test_everything_has_a_comment(any_store_url: str) -> None:
    with psycopg.connect(any_store_url) as connection:
        uncommented = connection.execute("""
            WITH ours AS (SELECT current_schema()::regnamespace::oid AS namespace)
            SELECT 'relation ' || oid::regclass FROM pg_class, ours
            WHERE relnamespace = namespace AND relkind IN ('r', 'p', 'v', 'm')
                AND obj_description(oid, 'pg_class') IS NULL
            UNION ALL
            SELECT 'column ' || attrelid::regclass || '.' || attname
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, ours
            WHERE relnamespace = namespace AND relkind IN ('r', 'p', 'v', 'm', 'c')
                AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
            UNION ALL
            SELECT 'function ' || oid::regprocedure FROM pg_proc, ours
            WHERE pronamespace = namespace AND obj_description(oid, 'pg_proc') IS NULL
            UNION ALL
            SELECT 'type ' || t.oid::regtype
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid, ours
            WHERE typnamespace = namespace AND (typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
                AND obj_description(t.oid, 'pg_type') IS NULL
        """).fetchall()
    assert uncommented == []


def test_comments_are_sentences(store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        rows = connection.execute("""
            SELECT description FROM pg_description JOIN pg_class ON pg_class.oid = objoid
            WHERE relnamespace = current_schema()::regnamespace
        """).fetchall()
    assert len(rows) > 100
    assert [text for (text,) in rows if not text.endswith(".")] == []


def test_the_comments_of_positions_are_the_catalogue_s_meanings(store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        comments: dict[str, str] = dict(
            connection.execute("""
                SELECT attname, col_description(attrelid, attnum)
                FROM pg_attribute WHERE attrelid = 'positions'::regclass AND attnum > 0
            """).fetchall()
        )
    for field in FIELDS:
        if field.column == "status":
            continue  # says a word more on the store's side
        comment = comments[field.column]
        assert comment.startswith(field.meaning), field.column
        assert ("10,000 are 1 USD" in comment) == (field.kind is Kind.PIPS), field.column
        assert ("UTC." in comment) == (field.kind is Kind.TIME), field.column


def test_tables_hold_what_an_analyst_reads_without_quotes(store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        odd = connection.execute("""
            SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')
                AND attnum > 0 AND attname <> 'rank'
                AND (quote_ident(attname) <> attname OR quote_ident(relname) <> relname)
        """).fetchall()
    assert odd == []


def test_the_reference_tables_know_every_documented_word(store_url: str) -> None:
    with closing(database.connect(store_url)) as connection:
        statuses = connection.execute(
            "SELECT status, phase, is_terminal FROM position_statuses ORDER BY precedence"
        ).fetchall()
        types = connection.execute(
            "SELECT type FROM event_types ORDER BY precedence, type"
        ).fetchall()
    assert statuses == [
        ("pending", "pending", False),
        ("open", "live", False),
        ("unwinding", "live", False),
        ("closing", "live", False),
        ("settling", "live", False),
        ("cancelled", "terminal", True),
        ("closed", "terminal", True),
        ("settled", "terminal", True),
        ("liquidated", "terminal", True),
    ]
    assert [name.removeprefix("position.") for (name,) in types] == [
        "archive", "restoration", "retraction", "created", "opening", "opened", "force_unwound",
        "partial_close_requested", "partial_close_initiated",
        "partial_close_aborted", "partial_closed",
        "settlement_state_changed", "close_requested", "closed", "settled", "liquidated",
        "reverted", "cancelled", "snapshot",
    ]  # fmt: skip


def test_no_unique_key_but_that_of_seq_is_without_the_position(store_url: str) -> None:
    # So that the same schema can be spread over many machines by position, where that of seq
    # becomes an ordinary index.
    with psycopg.connect(store_url) as connection:
        keys = connection.execute("""
            SELECT indexdef FROM pg_indexes WHERE tablename IN ('events', 'positions')
                AND schemaname = current_schema() AND indexdef LIKE 'CREATE UNIQUE%'
                AND indexname <> 'events_seq'
        """).fetchall()
    assert len(keys) == 2
    assert all("(position_id" in definition for (definition,) in keys)
