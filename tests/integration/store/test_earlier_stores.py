"""A store of an earlier version, with its data, is brought to head and goes on.

``earlier/0010.sql.xz`` is a plain dump (``pg_dump --inserts``) of a store that b0076ff made and
filled: its ingester on the sandbox with duplicates, reordering and losses, two reconciliations, and
an import of two invalid lines.
"""

import lzma
import re
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from support.factories import event
from support.typed_in import rows

from positionstore.store import database, migrations, projection
from positionstore.store.appender import Appender

DUMP = Path(__file__).parent / "earlier" / "0010.sql.xz"

NOT_FOR_HERE = re.compile(r"^(\\(un)?restrict .*|SET transaction_timeout = 0;)$", re.MULTILINE)
"""What psql alone understands, and what PostgreSQL 15 does not know."""

COLUMNS = """
    SELECT relname, string_agg(quote_ident(attname), ', ' ORDER BY attnum)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
      AND attnum > 0 AND NOT attisdropped
    GROUP BY relname ORDER BY relname
"""


@pytest.fixture
def earlier_url(any_database_url: str) -> str:
    """The URL of the earlier store."""
    with psycopg.connect(any_database_url) as connection:
        dump = NOT_FOR_HERE.sub("", lzma.decompress(DUMP.read_bytes()).decode())
        connection.execute(dump.encode())
    return any_database_url


@pytest.mark.in_public
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
