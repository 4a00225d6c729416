"""The advisory locks of a store; they die with the connection that holds them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from positionstore.errors import SessionLostError
from positionstore.store import pooler

APPEND_LOCK: Final = 7_305_804_402_566_050_816
"""Held by an appender for the end of its transaction: whoever holds it sees a log that rests."""

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
        key: the lock.

    Raises:
        SessionLostError: when it is given back, another session answers than the one that holds it.
    """
    connection.execute("SELECT pg_advisory_lock(%s)", [key])
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
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
    return bool(row and row[0])


def holds(connection: psycopg.Connection, key: int) -> bool:
    """Whether the session of the server that answers holds a lock."""
    return connection.execute(_HOLDS, [key]).fetchone() == (True,)


def unlock(connection: psycopg.Connection, key: int) -> bool:
    """Give a lock back; False where the session of the server that answers does not hold it."""
    return connection.execute(_UNLOCK, [key]).fetchone() == (True,)


_UNLOCK: Final = "SELECT pg_advisory_unlock(%s)"
_HOLDS: Final = """
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
          AND (classid::bigint << 32) + objid::bigint = %s
    )
"""
