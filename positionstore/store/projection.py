"""The projection: the fold of each position's facts into its row of ``positions``.

The order of facts itself is in the database (``ranked_facts``, ``fold_facts``); here it is only
asked for: for the positions of a batch, or for the whole log.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import IsolationLevel

from positionstore.store import fold, pooler
from positionstore.store.engine import is_distributed
from positionstore.store.fold import Difference, Found, Progress, compare, statement
from positionstore.store.locks import APPEND_LOCK, REBUILD_LOCK, holds, session_lock
from positionstore.store.pair import Connect


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
        statement(connection, "project_events", has_retractions=has_retractions),
        {"first_seq": first_seq, "last_seq": last_seq},
    ).rowcount


def refold_positions(connection: psycopg.Connection, position_ids: Sequence[str]) -> int:
    """Fold some positions again from all their facts; return how many rows were written."""
    return connection.execute(
        statement(connection, "refold_positions"), {"position_ids": list(position_ids)}
    ).rowcount


def drop_emptied(connection: psycopg.Connection, position_ids: Sequence[str]) -> int:
    """Take out the rows of those of some positions that have no fact left; return how many."""
    row = connection.execute(
        statement(connection, "drop_emptied"), {"position_ids": list(position_ids)}
    ).fetchone()
    return row[0] if row else 0


def verify(
    connection: psycopg.Connection,
    *,
    position_ids: Sequence[str] | None = None,
    progress: Progress | None = None,
    another: Connect | None = None,
) -> list[Difference]:
    """Fold the whole log again and compare it with ``positions``; change nothing.

    All of it happens in one snapshot of the database, so that appenders may go on meanwhile.

    Args:
        connection: a connection in autocommit mode.
        position_ids: the only positions to look at; None for all.
        progress: called with how far it is.
        another: opens a second connection to the same place, which does half of the work; without
            it, or where there is none to be had, one does all of it.

    Returns:
        What differs, by position; empty where the projection is right.
    """
    with _transaction(connection, IsolationLevel.REPEATABLE_READ):
        found = compare(connection, position_ids, progress=progress, another=another)
    if found and is_distributed(connection):
        # Workers have no one snapshot, and may have shown a batch in part.
        with _transaction(connection, IsolationLevel.READ_COMMITTED):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            found = compare(connection, [each.position_id for each in found])
    return _differences(found)


def rebuild(
    connection: psycopg.Connection,
    *,
    progress: Progress | None = None,
    another: Connect | None = None,
) -> list[Difference]:
    """Fold the whole log again and put right the rows of ``positions`` that differ.

    They are looked for while appenders go on. Then, in one short transaction under the appenders'
    lock, the positions that changed meanwhile are looked at once more and the rows that differ are
    written. Readers see the old rows until that transaction commits, then the new ones.

    Args:
        connection: a connection in autocommit mode.
        progress: called with how far it is.
        another: as for :func:`verify`.

    Returns:
        What differed, and was put right.

    Raises:
        SessionLostError: it was not one session of the server all along; nothing was changed.
        PositionstoreError: the log has facts, but they gave no position; nothing was changed.
    """
    execute = connection.execute
    with session_lock(connection, REBUILD_LOCK):
        with _transaction(connection, IsolationLevel.REPEATABLE_READ):
            _require_lock(connection)
            (seen,) = execute(statement(connection, "last_seq")).fetchone() or (0,)
            found = compare(connection, progress=progress, another=another)
        # What was committed while it waits for its turn has to be seen.
        with _transaction(connection, IsolationLevel.READ_COMMITTED):
            execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            _require_lock(connection)
            late = {
                name for (name,) in execute(statement(connection, "positions_since"), {"seq": seen})
            }
            if is_distributed(connection):
                late |= {each.position_id for each in found}
            found = [each for each in found if each.position_id not in late]
            if late:
                found += compare(connection, list(late))
            if gone := [each.position_id for each in found if each.seq is None]:
                execute(statement(connection, "drop_unfounded"), {"position_ids": gone})
            for first in range(0, len(found), fold.SLICE):
                some = [each for each in found[first : first + fold.SLICE] if each.seq is not None]
                facts = {
                    "position_ids": [each.position_id for each in some],
                    "seqs": [each.seq for each in some],
                    "moments": [each.supersedes_before for each in some],
                }
                put = execute(statement(connection, "put_right"), facts)
                if put.rowcount != len(some):
                    raise fold.schema_broken("The log has a fact that gives no row")
        return _differences(found)


def _differences(found: Sequence[Found]) -> list[Difference]:
    by_id = sorted(found, key=lambda each: each.position_id)
    return [Difference(each.position_id, each.kind, each.columns) for each in by_id]


def _require_lock(connection: psycopg.Connection) -> None:
    if not holds(connection, REBUILD_LOCK):
        raise pooler.lost()


@contextmanager
def _transaction(connection: psycopg.Connection, level: IsolationLevel) -> Iterator[None]:
    previous = connection.isolation_level
    connection.isolation_level = level
    try:
        with connection.transaction():
            yield
    finally:
        if not connection.closed:
            connection.isolation_level = previous
