"""The numbers that sequences give go on after those that are in use.

Logical replication copies rows and not sequences, and a restore of single tables may leave a
sequence behind as well: it then begins again at 1. A fact would get a smaller ``seq`` than those
before it, and a reader who remembers one would miss it. So each who is about to draw a number
compares first: one query of the ends of five indexes.

A role that may set a sequence does so. Another draws numbers until the sequence has caught up,
where that is not far; the database's own writer has no rights on sequences, cannot look at them
either, and learns of it by the first number that it draws (:class:`NumbersBehindError`).

Source: the PostgreSQL manual, "Logical Replication", "Restrictions"; "Sequence Manipulation
Functions".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from positionstore.errors import StoreRefusedError
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.queries import queries

Result = TypeVar("Result")

DRAWN_AT_MOST: Final = 100_000
"""Numbers that a role without the right to set a sequence draws of it: a second or so."""

_DRAWN_AT_ONCE: Final = 1_000

_COLUMNS: Final = {
    "backfills": "backfill_id",
    "events": "seq",
    "quarantine": "quarantine_id",
    "reconciliation_runs": "run_id",
    "stream_sessions": "session_id",
}
"""The column of each table whose numbers a sequence gives."""

_KEYS: Final = {"events_seq", "quarantine_quarantine_id_key"} | {
    f"{name}_pkey" for name in _COLUMNS.keys() - {"events", "quarantine"}
}
"""The unique indexes of these columns."""


class NumbersBehindError(psycopg.OperationalError):
    """A sequence gave a number that is not the greatest: nothing was written, and it is set now."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one table.

    Attributes:
        table: its name.
        newest: the highest in use.
        last: the last that the sequence gave; None where this role may not know.
        may_set: whether this role may set the sequence.
    """

    table: str
    newest: int
    last: int | None
    may_set: bool

    @property
    def is_behind(self) -> bool:
        """Whether the next number would be one that is in use, or smaller; False if unknown."""
        return self.last is not None and self.last < self.newest


TABLES: Final = tuple(sorted(_COLUMNS))
"""The tables whose numbers a sequence gives."""

OF_THE_LOG: Final = ("events", "quarantine")
"""Those of them that an appender writes to. It looks at no others, which may be locked."""


def numbers(connection: psycopg.Connection, tables: Sequence[str] = TABLES) -> list[Numbers]:
    """Return the numbers of each of these tables that is not empty."""
    look = sql.SQL(" UNION ALL ").join(_of("one", table) for table in tables)
    with connection.cursor(row_factory=class_row(Numbers)) as cursor:
        return cursor.execute(look).fetchall()


def align(
    connection: psycopg.Connection, tables: Sequence[str] = TABLES, *, unknown_too: bool = False
) -> list[str]:
    """Let each sequence go on after the numbers that are in use; return which were behind.

    Only where one is behind the appenders' lock is taken, until the transaction ends.

    Args:
        connection: one on which no transaction is open, or whose transaction this becomes part of.
        tables: whose.
        unknown_too: whether a number is drawn of those that this role may not look at.

    Raises:
        StoreRefusedError: one is far behind, and this role may not set it.
    """
    # Without autocommit a look alone would leave a transaction open.
    with nullcontext() if connection.autocommit else connection.transaction():
        suspects = any(_suspects(connection, tables, unknown_too=unknown_too))
    if not suspects:
        return []
    with connection.transaction():
        connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
        return [
            each.table
            for each in _suspects(connection, tables, unknown_too=unknown_too)
            if _catch_up(connection, each)
        ]


def checked(
    connection: psycopg.Connection, tables: Sequence[str], write: Callable[[], Result]
) -> Result:
    """Do what draws a number of a sequence; where it is behind, set it and do it again.

    Args:
        connection: one in autocommit mode, or one on which no transaction is open.
        tables: whose sequences.
        write: it; one transaction.
    """
    align(connection, tables)
    try:
        return write()
    except psycopg.Error as error:
        if not is_of_numbers(error):
            raise
    align(connection, tables, unknown_too=True)
    return write()


def is_of_numbers(error: BaseException) -> bool:
    """Whether an error is that a sequence gave a number that is in use, or a smaller one."""
    if isinstance(error, psycopg.errors.UniqueViolation):
        return error.diag.constraint_name in _KEYS
    return isinstance(error, NumbersBehindError)


def check_order(first: int | None, newest: int | None) -> None:
    """Check that the first seq that was drawn is greater than the newest before it.

    Raises:
        NumbersBehindError: it is not; the caller has to roll back.
    """
    if first is not None and newest is not None and first <= newest:
        raise NumbersBehindError(
            f"The sequence of events.seq is behind: it gave {first}, and {newest} is in use."
        )


def _suspects(
    connection: psycopg.Connection, tables: Sequence[str], *, unknown_too: bool
) -> Iterator[Numbers]:
    for each in numbers(connection, tables):
        if each.is_behind or (unknown_too and each.last is None):
            yield each


def _catch_up(connection: psycopg.Connection, behind: Numbers) -> bool:
    """Let a sequence catch up; return whether it was behind."""
    if behind.may_set:
        connection.execute(_of("set", behind.table), {"newest": behind.newest})
        return True
    if behind.last is not None and behind.newest - behind.last > DRAWN_AT_MOST:
        raise _too_far(behind)
    drawn, count, last = 0, 1, behind.last
    while drawn < DRAWN_AT_MOST:
        if last is not None:
            count = min(behind.newest - last, _DRAWN_AT_ONCE)
        found = _draw(connection, behind.table, count)
        drawn += count
        last = max([*found, *(() if last is None else (last + count,))], default=None)
        if last is not None and last >= behind.newest:
            return drawn > 1 or behind.is_behind
        count = min(2 * count, _DRAWN_AT_ONCE)
    raise _too_far(behind)


def _draw(connection: psycopg.Connection, table: str, count: int) -> list[int]:
    """Draw so many numbers; return those that are in no row."""
    # Numbers are not given back with the rows.
    with connection.transaction(force_rollback=True):
        drawing = queries("sequences")[table]
        return [number for (number,) in connection.execute(drawing, {"count": count})]


def _too_far(behind: Numbers) -> StoreRefusedError:
    return StoreRefusedError(
        f"The sequence of {behind.table}.{_COLUMNS[behind.table]} is behind the rows, as after a "
        "cut-over by logical replication, and this role may not set it.",
        remedy="Run `positionstore migrate` as the owner of the tables.",
    )


def _of(name: LiteralString, table: str) -> sql.Composed:
    return queries("sequences")[name].format(
        name=sql.Literal(table),
        table=sql.Identifier(table),
        column=sql.Identifier(_COLUMNS[table]),
        column_name=sql.Literal(_COLUMNS[table]),
    )
