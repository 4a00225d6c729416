"""The projection: the fold of each position's facts into its row of ``positions``.

The order of facts itself is in the database (``ranked_facts``, ``fold_facts``); here it is only
asked for: for the positions of a batch, or for the whole log.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import class_row

from positionstore.store.locks import APPEND_LOCK, REBUILD_LOCK
from positionstore.store.queries import queries
from positionstore.store.schema import FOLDED_COLUMNS

SLICE = 20_000
"""Positions that a rebuild makes between two steps of its progress."""

Progress = Callable[[int, int], None]
"""Takes how many positions are done, and of how many."""


def _columns(prefix: str = "") -> sql.Composed:
    names = [sql.Identifier(*(filter(None, (prefix, name)))) for name in FOLDED_COLUMNS]
    return sql.SQL(", ").join(names)


_ASSIGNMENTS = sql.SQL(", ").join(
    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
    for name in FOLDED_COLUMNS
    if name != "position_id"
)


def _statement(name: str, *, has_retractions: bool = True) -> sql.Composed:
    and_counts = queries("projection")["and_counts"] if has_retractions else sql.SQL("")
    return queries("projection")[name].format(
        and_counts=and_counts,
        columns=_columns(),
        p_columns=_columns("p"),
        r_columns=_columns("r"),
        assignments=_ASSIGNMENTS,
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """A position whose row is not the fold of its facts.

    Attributes:
        position_id: the position.
        kind: ``missing`` (no row), ``unfounded`` (a row, but no fact), ``different``.
        columns: the columns that differ.
    """

    position_id: str
    kind: str
    columns: list[str]


def project_events(
    connection: psycopg.Connection, first_seq: int, last_seq: int, *, has_retractions: bool
) -> int:
    """Fold the events of a seq range into ``positions``; return how many rows changed.

    Args:
        connection: the appender's.
        first_seq: the first of the range.
        last_seq: the last of it.
        has_retractions: whether the log has any; where it has none, none is looked for.
    """
    return connection.execute(
        _statement("project_events", has_retractions=has_retractions),
        {"first_seq": first_seq, "last_seq": last_seq},
    ).rowcount


def refold_positions(connection: psycopg.Connection, position_ids: Sequence[str]) -> int:
    """Fold some positions anew from all their facts; return how many rows were written."""
    return connection.execute(
        _statement("refold_positions"), {"position_ids": list(position_ids)}
    ).rowcount


def drop_emptied(connection: psycopg.Connection, position_ids: Sequence[str]) -> int:
    """Take out the rows of those of some positions that have no fact left; return how many."""
    row = connection.execute(
        _statement("drop_emptied"), {"position_ids": list(position_ids)}
    ).fetchone()
    return row[0] if row else 0


def verify(connection: psycopg.Connection, *, progress: Progress | None = None) -> list[Difference]:
    """Fold the whole log anew and compare it with ``positions``; change nothing.

    All of it happens in one snapshot of the database, so that appenders may go on meanwhile.

    Args:
        connection: a connection in autocommit mode.
        progress: is told how far it is.

    Returns:
        What differs, by position; empty where the projection is right.
    """
    with (
        _isolated(connection, IsolationLevel.REPEATABLE_READ),
        connection.transaction(),
        _folded_anew(connection, progress),
        connection.cursor(row_factory=class_row(Difference)) as cursor,
    ):
        return cursor.execute(_statement("differences")).fetchall()


def rebuild(
    connection: psycopg.Connection, *, progress: Progress | None = None
) -> list[Difference]:
    """Fold the whole log anew and put the result in the place of ``positions``.

    It is built beside, while appenders go on. Then, in one short transaction under the
    appenders' lock, the positions that changed meanwhile are folded once more and the rows that
    differ are written. Readers see the old rows until that transaction commits, then the new ones.

    Args:
        connection: a connection in autocommit mode.
        progress: is told how far it is.

    Returns:
        What differed, and was put right.
    """
    execute = connection.execute
    execute("SELECT pg_advisory_lock(%s)", [REBUILD_LOCK])
    try:
        row = execute(_statement("last_seq")).fetchone()
        seen = row[0] if row else 0
        with (
            _folded_anew(connection, progress),
            # What was committed while it waits for its turn has to be seen.
            _isolated(connection, IsolationLevel.READ_COMMITTED),
            connection.transaction(),
        ):
            execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            late = [name for (name,) in execute(_statement("positions_since"), {"seq": seen})]
            if late:
                execute(_statement("forget_rebuilt"), {"position_ids": late})
                execute(_statement("rebuild_positions"), {"position_ids": late})
            with connection.cursor(row_factory=class_row(Difference)) as cursor:
                differences = cursor.execute(_statement("differences")).fetchall()
            if differences:
                execute(_statement("drop_unfounded"))
                execute(_statement("swap_in"))
        return differences
    finally:
        execute("SELECT pg_advisory_unlock(%s)", [REBUILD_LOCK])


@contextmanager
def _isolated(connection: psycopg.Connection, level: IsolationLevel) -> Iterator[None]:
    previous = connection.isolation_level
    connection.isolation_level = level
    try:
        yield
    finally:
        if not connection.closed:
            connection.isolation_level = previous


@contextmanager
def _folded_anew(connection: psycopg.Connection, progress: Progress | None) -> Iterator[None]:
    execute = connection.execute
    execute(_statement("drop_rebuilt"))
    execute(_statement("drop_folded"))
    execute(_statement("create_rebuilt"))
    try:
        total = execute(_statement("fold_everything")).rowcount
        execute(_statement("index_folded"))
        for first in range(1, total + 1, SLICE):
            execute(_statement("rebuild_slice"), {"first": first, "last": first + SLICE - 1})
            if progress is not None:
                progress(min(first + SLICE - 1, total), total)
        execute("ANALYZE pg_temp.rebuilt")
        yield
    finally:
        if not connection.broken and connection.info.transaction_status != _FAILED:
            execute(_statement("drop_rebuilt"))
            execute(_statement("drop_folded"))


_FAILED = psycopg.pq.TransactionStatus.INERROR
