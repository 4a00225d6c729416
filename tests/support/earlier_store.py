"""Stores of earlier versions, for tests.

``earlier/0010.sql.xz`` is a plain dump (``pg_dump --inserts``) of a store that b0076ff made and
filled: its ingester on the sandbox with duplicates, reordering and losses, two reconciliations, and
an import of two invalid lines. ``earlier/0021_schema.sql.xz`` is the schema (``pg_dump
--schema-only``) that 74f626c made, step by step from nothing.
"""

import lzma
import re
import subprocess
from pathlib import Path

import psycopg

from support.server_worlds import programs_of

_DUMPS = Path(__file__).parents[1] / "integration" / "store" / "earlier"

_NOT_FOR_HERE = re.compile(r"^(\\(un)?restrict .*|SET transaction_timeout = 0;)$", re.MULTILINE)
"""What psql alone understands, and what PostgreSQL 15 does not know."""


def text_of(name: str) -> str:
    """Return the SQL of a dump."""
    return plain(lzma.decompress((_DUMPS / f"{name}.sql.xz").read_bytes()).decode())


def plain(dump: str) -> str:
    """Return a dump of ``pg_dump`` as every server and driver understands it."""
    return _NOT_FOR_HERE.sub("", dump)


def restore(url: str, name: str = "0010") -> None:
    """Restore a dump into an empty database, in the schema public."""
    with psycopg.connect(url) as connection:
        connection.execute(text_of(name).encode())


def schema_of(url: str) -> str:
    """What pg_dump says of the schema."""
    pg_dump = programs_of(url) / "pg_dump"
    dump = subprocess.run(
        [pg_dump, "--schema-only", "--no-owner", "-d", url],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    # A view that was restored once names a column after its type where it has no other name.
    return re.sub(r"(NULL::[a-z ]+) AS \w+", r"\1", plain(dump.stdout))
