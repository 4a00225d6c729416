"""The engine under a store: one PostgreSQL server, or Citus, which spreads the log over workers.

Both run the same statements. What differs is how the planner is held to one look-up by key a row:
PostgreSQL by ``LATERAL (... OFFSET 0)`` and by common table expressions that are computed once,
Citus by joins on ``position_id``, which its workers do where the rows are. So a statement names a
place for each such hint, and this module fills it.

Source: the Citus documentation, "SQL Support and Workarounds".
"""

from collections.abc import Mapping
from functools import cache
from typing import Final, LiteralString
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql

from positionstore.store.queries import queries

WATERMARK: Final = "log_watermark"
"""The table that only a distributed store has."""

Hints = Mapping[str, sql.SQL]
"""What to fill the places for hints in a statement with."""

HINTS: Final[dict[bool, Hints]] = {
    False: {
        # One look-up by key a row, however many rows the planner expects.
        "once": sql.SQL("OFFSET 0"),
        # Computed once, before what refers to it is planned.
        "apart": sql.SQL("MATERIALIZED"),
        # Computed before its rows meet those of the log: a function, or rows of the coordinator.
        "gathered": sql.SQL("NOT MATERIALIZED"),
        "left": sql.SQL("LEFT"),
        # The seq finds a fact by itself.
        "of_position": sql.SQL(""),
        "of_fact": sql.SQL(""),
        # What is not gathered is not narrowed down either: the join does it.
        "of_asked": sql.SQL(""),
    },
    True: {
        "once": sql.SQL(""),
        "apart": sql.SQL("NOT MATERIALIZED"),
        "gathered": sql.SQL("MATERIALIZED"),
        "left": sql.SQL("INNER"),
        "of_position": sql.SQL("f.position_id = w.of_position AND"),
        "of_fact": sql.SQL("f.position_id = e.position_id AND"),
        "of_asked": sql.SQL("WHERE position_id = ANY (%(position_ids)s::text[])"),
    },
}

_known: WeakKeyDictionary[psycopg.Connection, bool] = WeakKeyDictionary()


def is_distributed(connection: psycopg.Connection) -> bool:
    """Whether Citus spreads this store over workers; asked once a connection."""
    known = _known.get(connection)
    if known is None:
        row = connection.execute(queries("engine")["is_distributed"]).fetchone()
        known = _known[connection] = row == (True,)
    return known


def has_citus(connection: psycopg.Connection) -> bool:
    """Whether the extension is in this database, whether or not it spreads the store."""
    return connection.execute(queries("engine")["has_citus"]).fetchone() == (True,)


def hints(connection: psycopg.Connection) -> Hints:
    """Return what to fill the places for hints with, for the engine at hand."""
    return HINTS[is_distributed(connection)]


def hinted(connection: psycopg.Connection, module: str, name: LiteralString) -> sql.Composed:
    """Return a statement of ``sql/<module>.sql`` with the hints for the engine at hand."""
    return filled(module, name, is_distributed(connection))


@cache
def filled(module: str, name: str, distributed: bool) -> sql.Composed:
    """Return a statement of ``sql/<module>.sql`` with the hints for one engine or the other."""
    return queries(module)[name].format(**HINTS[distributed])
