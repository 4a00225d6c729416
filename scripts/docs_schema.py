"""The pages generated from a migrated database: its schema, and how to read it with SQL."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docs_world
import psycopg
from docs_sql import sql_pages

from positionstore.embedded.server import remove_unused, running
from positionstore.store import database, migrations

_HEAD = """\
# The schema

<!-- Made by scripts/docs.py from a migrated database's comments; edit those, and run this. -->

All objects are in one schema: `POSITIONSTORE_SCHEMA`, or by default the first of the
`search_path`, usually `public`. The descriptions are also comments in the database, which
`\\d+ positions` in psql and most SQL clients show.

Amounts end in `_usd_pips`: 10,000 pips are 1 USD. Ratios end in `_bps`: 10,000 basis points are 1,
and 20,000 bps of leverage are 2x. Both are exact integers. Column names follow the wire:
`entry.price_usd_pips` of the position object is `entry_price_usd_pips`. Times are UTC. A column
marked **key** is part of the primary key; one marked *null* may be NULL.

Only positionstore writes, except that an operator may add rows to `position_statuses` and
`event_types`. [The order of facts](order-of-facts.md) explains how a position's row follows from
its facts; [reading with SQL](sql.md) has an example of each view.
"""

_FIRST = ("positions", "events", "position_statuses", "event_types")
_REFERENCES = ("position_statuses", "event_types")

_RELATIONS = """
    SELECT c.relname, obj_description(c.oid, 'pg_class')
    FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = ANY (%s)
    ORDER BY array_position(%s, c.relname::text), c.relname
"""
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
        coalesce(a.attnum = ANY (k.conkey), false), col_description(a.attrelid, a.attnum)
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = %s
        AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_FUNCTIONS = """
    SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid),
        obj_description(oid, 'pg_proc')
    FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace
    ORDER BY proname
"""


def database_pages() -> dict[str, str]:
    """Return the pages generated from a database, which is created on an embedded server."""
    data_dir = Path(tempfile.gettempdir()) / f"positionstore-docs-{os.getpid()}"
    settings = {"fsync": "off"}
    try:
        with running(data_dir, say=lambda _: None, settings=settings) as server:
            migrations.migrate(server.url())
            return pages_of(server.url())
    finally:
        if remove_unused(data_dir):
            shutil.rmtree(data_dir)


def pages_of(url: str) -> dict[str, str]:
    """Return the same of an empty store, which is filled."""
    with psycopg.connect(url) as connection:
        schema = page_of(connection)
    names = docs_world.fill(url)
    with closing(database.connect(url)) as connection:
        return {"schema.md": schema, **sql_pages(connection, names)}


def page_of(connection: psycopg.Connection) -> str:
    """Return the page of the schema that a connection is in."""
    page = "\n".join(_lines(connection))
    return page.replace("timestamp with time zone", "timestamptz").replace("::timestamptz", "")


def _lines(connection: psycopg.Connection) -> Iterator[str]:
    yield _HEAD
    for title, kinds, is_table in (
        ("Tables", ["r", "p"], True),
        ("Views", ["v", "m"], False),
        ("Types", ["c"], False),
    ):
        yield f"## {title}\n"
        for name, comment in connection.execute(_RELATIONS, [kinds, list(_FIRST)]).fetchall():
            yield f"### {name}\n"
            yield f"{comment or _type_comment(connection, name)}\n"
            yield "| column | type | meaning |"
            yield "| --- | --- | --- |"
            for column, kind, nullable, key, meaning in connection.execute(_COLUMNS, [name]):
                marks = " **key**" if key else " *null*" if nullable and is_table else ""
                yield f"| `{column}` | {kind}{marks} | {_cell(meaning)} |"
            yield ""
            if name in _REFERENCES:
                yield from _content(connection, name)
    yield "## Functions\n"
    for name, arguments, result, comment in connection.execute(_FUNCTIONS).fetchall():
        yield f"### {name}\n"
        yield f"{comment}\n"
        yield f"`{name}({arguments}) → {result}`\n"


def _content(connection: psycopg.Connection, name: str) -> Iterator[str]:
    query = psycopg.sql.SQL("SELECT * FROM {} ORDER BY precedence, 1").format(
        psycopg.sql.Identifier(name)
    )
    cursor = connection.execute(query)
    columns = [column.name for column in cursor.description or ()]
    yield "The rows of a new store:\n"
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in cursor:
        yield f"| {' | '.join(_value(value) for value in row)} |"
    yield ""


def _type_comment(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT obj_description(%s::regtype, 'pg_type')", [name]).fetchone()
    return str(row[0]) if row else ""


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _cell(str(value))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
