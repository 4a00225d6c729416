"""A store of any size, made inside the server, for queries and their plans.

It fills an empty store by set-based SQL, in a minute a million facts or less; no ingester could.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from positionstore.model.fields import FOLDED_COLUMNS, VALUATION_FIELDS
from positionstore.store.queries import read_queries

FACTS_EACH: Final = 10
"""About how many facts a position has."""

_FIRST_DAY: Final = datetime(2026, 6, 6, tzinfo=UTC)
_DAYS: Final = 30
_FILE: Final = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True, slots=True)
class Index:
    """An index of ``events`` or ``positions``.

    Attributes:
        name: its name.
        drop: the statement that takes it away.
        create: the statement that makes it.
        table: its table.
        is_key: whether it is a key, which nothing works without.
    """

    name: str
    drop: str
    create: str
    table: str
    is_key: bool


def indexes(connection: psycopg.Connection) -> list[Index]:
    """Return the indexes of the log and of positions."""
    return [Index(*row) for row in connection.execute(_statements()["indexes"])]


def fill(
    connection: psycopg.Connection, facts: int, *, say: Callable[[str], None] = lambda _: None
) -> Mapping[str, str]:
    """Fill an empty store with about that many facts of a tenth as many positions.

    Args:
        connection: in autocommit mode.
        facts: how many.
        say: called with the progress.

    Returns:
        The names that documented queries speak of: ``position``, ``wallet`` and ``market``.
    """
    execute = connection.execute
    execute("SET maintenance_work_mem = '512MB'")
    execute("SET work_mem = '256MB'")
    execute("SET jit = off")
    execute(_statements()["create_generated"], {"positions": facts // FACTS_EACH})
    for name in ("index_generated", "analyze_generated"):
        execute(_statements()[name])
    for table in ("events", "positions"):
        # Not needed after a crash.
        execute(sql.SQL("ALTER TABLE {} SET UNLOGGED").format(sql.Identifier(table)))
    left_out = indexes(connection)
    for index in left_out:
        execute(index.drop.encode())
    appended = 0
    for number in range(_DAYS):
        day = _FIRST_DAY + timedelta(days=number)
        appended += execute(_statements()["append_day"], {"day": day}).rowcount
        say(f"{appended:,} facts appended")
    _make(connection, [index for index in left_out if index.table == "events"], say)
    execute("ANALYZE events")
    columns = sql.SQL(", ").join(map(sql.Identifier, FOLDED_COLUMNS))
    execute(_statements()["project"].format(columns=columns))
    say("Every position is projected")
    _make(connection, [index for index in left_out if index.table == "positions"], say)
    execute(_statements()["verify_some"])
    valued = sql.SQL(", ").join(sql.Identifier(field.path[-1]) for field in VALUATION_FIELDS)
    told = sql.SQL(", ").join(sql.Identifier(field.column) for field in VALUATION_FIELDS)
    for name in ("value", "remember_values"):
        execute(_statements()[name].format(valued=valued, told=told))
    for name in (
        "run_nights",
        "find_differences",
        "connect_sessions",
        "quarantine_some",
    ):
        execute(_statements()[name])
    execute("VACUUM (ANALYZE)")
    execute("RESET work_mem")
    execute("RESET jit")
    position, wallet, market = execute(_statements()["names"]).fetchall()[0]
    return {"position": position, "wallet": wallet, "market": market}


def _make(
    connection: psycopg.Connection, made: Sequence[Index], say: Callable[[str], None]
) -> None:
    for index in made:
        connection.execute(index.create.encode())
        say(f"{index.name} is made")


@cache
def _statements() -> dict[str, sql.SQL]:
    return read_queries(_FILE)
