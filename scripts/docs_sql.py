"""The pages on SQL: each view and function with an example, and the cookbook."""

from collections.abc import Iterator, Mapping

import psycopg
from docs_diagram import diagram
from docs_queries import documented, shown

_WORLD = """\
The examples use five days of the sandbox's simulation, from Wednesday, 1 July 2026: about a
thousand positions of five wallets. The stream loses one event in a hundred and delays one in
twenty-five. On Friday it was down from 15:20 to 17:25. A reconciliation repaired the gap, and at
20:00 an operator imported the events that another ingester had captured. On Sunday the stream was
down for another twelve minutes. A full reconciliation runs every night at 03:00."""

_HEAD = f"""\
# Reading with SQL

<!-- Made by scripts/docs.py from a migrated database and docs/queries/views.sql; edit those, and
run this. The examples are run, and each is followed by its result. -->

The tables, views and functions, with an example of each. [The schema](schema.md) has every column,
[the cookbook](cookbook.md) answers typical questions of a desk, and [the order of
facts](order-of-facts.md) explains why a row is as it is. Amounts in `_usd_pips` are integers,
10,000 to the dollar; the column `_usd` beside each is the same amount as an exact decimal. Ratios
in `_bps` are integers, 10,000 to 1. Times are UTC, durations intervals, and beside each is one in
seconds (`delay_seconds`); [other tools](bi.md) says what drivers make of these types. A literal
without a zone is of your session's time zone: write `positions_as_of('2026-07-03 17:00Z')`.

{_WORLD}

## The tables

`events` is append-only, and `positions` is derived from it alone. There are no foreign keys, so
that the tables can be distributed over several machines; the lines show which columns match.

```mermaid
erDiagram
{{diagram}}
```
"""

_COOKBOOK = f"""\
# Cookbook

<!-- Made by scripts/docs.py from docs/queries/cookbook.sql; edit that, and run this. The queries
are run, and each is followed by its result. -->

Typical questions of a desk, as SQL that you can copy. The queries are also in
[queries/cookbook.sql](queries/cookbook.sql). [Reading with SQL](sql.md) explains the views, and
[query performance](sql-performance.md) shows how long each query takes with ten million facts.

{_WORLD}
"""

_WORD = """
    SELECT coalesce(
        obj_description(to_regclass(%(name)s), 'pg_class'),
        (
            SELECT obj_description(oid, 'pg_proc') FROM pg_proc
            WHERE proname = %(name)s AND pronamespace = current_schema()::regnamespace
        )
    )
"""
_ARGUMENTS = """
    SELECT pg_get_function_arguments(oid) FROM pg_proc
    WHERE proname = %(name)s AND pronamespace = current_schema()::regnamespace
"""


def sql_pages(connection: psycopg.Connection, names: Mapping[str, str]) -> dict[str, str]:
    """Return docs/sql.md and docs/cookbook.md, run on the store that docs_world has filled."""
    return {
        "sql.md": "\n".join(_views(connection, names)),
        "cookbook.md": "\n".join(_cookbook(connection, names)),
    }


def _views(connection: psycopg.Connection, names: Mapping[str, str]) -> Iterator[str]:
    yield _HEAD.replace("{diagram}", "\n".join(diagram(connection)))
    yield "## The views and functions\n"
    for query in documented("views"):
        row = connection.execute(_WORD, {"name": query.name}).fetchone()
        if row is None or row[0] is None:
            raise LookupError(f"{query.name} is neither a view nor a function with a comment")
        yield f"### {query.name}\n"
        yield f"{row[0]}\n"
        arguments = connection.execute(_ARGUMENTS, {"name": query.name}).fetchone()
        if arguments is not None:
            spelled = arguments[0].replace("timestamp with time zone", "timestamptz")
            spelled = spelled.replace("::timestamptz", "").replace("::text", "")
            yield f"`{query.name}({spelled})`\n"
        yield from shown(connection, query, names)


def _cookbook(connection: psycopg.Connection, names: Mapping[str, str]) -> Iterator[str]:
    yield _COOKBOOK
    section = ""
    for query in documented("cookbook"):
        if query.section != section:
            section = query.section
            yield f"## {section}\n"
        yield f"### {query.title}\n"
        if query.text:
            yield f"{query.text}\n"
        yield from shown(connection, query, names)
