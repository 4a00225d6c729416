"""The advisory locks of a store; they die with the connection that holds them.

Stores in several schemas of one database share the locks of appending and migrating, and take turns
with them. Those that are held for minutes, by a rebuild and a reconciliation, are each store's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg

from positionstore.errors import SessionLostError
from positionstore.store import pooler

APPEND_LOCK: Final = 7_305_804_402_566_050_816
"""Held by an appender for the end of its transaction: while it is held the log does not change."""

REBUILD_LOCK: Final = 7_305_804_402_566_050_818
"""Held by the one rebuild of a time."""

MIGRATION_LOCK: Final = 7_305_804_402_566_050_817
"""Held by the one migration of a time."""

RECONCILE_LOCK: Final = 7_305_804_402_566_050_819
"""Held by the one reconciler of a time."""


@contextmanager
def session_lock(connection: psycopg.Connection, key: int) -> Iterator[None]:
    """Hold a lock over several transactions of one session; wait for it first.

    Args:
        connection: one in autocommit mode.
        key: the lock; each schema has its own of it.

    Raises:
        SessionLostError: when it is given back, another session answers than the one that holds it.
    """
    connection.execute(f"SELECT pg_advisory_lock({_OF_SCHEMA})", [key])
    try:
        yield
    except BaseException:
        if not connection.broken:
            unlock(connection, key)
        raise
    if not unlock(connection, key):
        raise SessionLostError(
            "The work is done, but another session of the database answered in the end, and a lock "
            "stays with the pooler.",
            remedy=pooler.REMEDY,
        )


def try_session_lock(connection: psycopg.Connection, key: int) -> bool:
    """Take a lock until :func:`unlock` or the end of the connection; False where another has it."""
    row = connection.execute(f"SELECT pg_try_advisory_lock({_OF_SCHEMA})", [key]).fetchone()
    return bool(row and row[0])


def holds(connection: psycopg.Connection, key: int) -> bool:
    """Whether the session of the server that answers holds a lock."""
    return connection.execute(_HOLDS, [key]).fetchone() == (True,)


def release(connection: psycopg.Connection, key: int) -> None:
    """Give a lock back before its connection closes, or a successor may find it still taken.

    The server notices a moment later that a connection has closed. Where it is lost, the lock is
    gone already.
    """
    with suppress(psycopg.Error):
        unlock(connection, key)


def unlock(connection: psycopg.Connection, key: int) -> bool:
    """Give a lock back; False where the session of the server that answers does not hold it."""
    return connection.execute(_UNLOCK, [key]).fetchone() == (True,)


_OF_SCHEMA: Final = """%s::bigint # CASE current_schema()
    WHEN 'public' THEN 0 ELSE hashtextextended(current_schema(), 0) END"""
"""The key of a lock in the session's schema; in ``public`` it is the plain one."""

_UNLOCK: Final = f"SELECT pg_advisory_unlock({_OF_SCHEMA})"
# ruff cannot see that the key's expression is ours, and takes what is given as a parameter.
_HOLDS: Final = f"""
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
          AND (classid::bigint << 32) + objid::bigint = ({_OF_SCHEMA})
    )
"""  # noqa: S608
