"""A pooler in front of the server: does it keep one server session for one client?

A server names the process that serves a connection when the connection begins; a pooler names a
number of its own. So where the two agree there is no pooler. Where they differ, two connections
take turns asking which process serves them. A pooler that gives a server session away between
two transactions answers the first one from another session sooner or later, or the second one from
the session of the first:

- one that takes the session that was used last gives the first one's to the second;
- one that takes the session that rested longest gives the first one another, and so it is asked
  twice in a row;
- one that has no session left lets the second wait, and hands it the first one's when it is free.

Nothing is set, locked, prepared or written meanwhile; each question is a transaction of its own.
"""

import selectors
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import psycopg
from psycopg.pq import ExecStatus

from positionstore.errors import DatabaseUnavailableError, SessionLostError, StoreRefusedError

REMEDY: Final = (
    "Let it pool by session (PgBouncer: pool_mode = session) for this user or "
    "database, or connect to the server itself."
)
"""What a person can do where a session is not kept."""

_OTHERS: Final = 6
"""Second connections, one after the other: a pooler may be several processes behind one port."""

_ROUNDS: Final = 3
"""Turns with each. Other clients of the pooler can hide the truth in one, but hardly in all."""

_PATIENCE: Final = 1.0
"""Seconds for which a second connection may wait for a server session."""

_LOOK_EVERY: Final = 0.05

_ASK: Final = b"SELECT pg_backend_pid()"


def backend(connection: psycopg.Connection) -> int:
    """Return the number of the server's process that serves this transaction."""
    row = connection.execute(_ASK, prepare=False).fetchone()
    return int(row[0]) if row else 0


def lost() -> SessionLostError:
    """Return the error for a session that became another in the middle of the work."""
    return SessionLostError(
        "Another session of the database answered in the middle of the work; what was under way "
        "was given up.",
        remedy=REMEDY,
    )


def require_session(
    connection: psycopg.Connection, another: Callable[[], psycopg.Connection]
) -> None:
    """See that a pooler keeps the session of a connection, whatever the pooler is.

    Args:
        connection: it, in autocommit mode.
        another: opens a second one to the same place.

    Raises:
        StoreRefusedError: it does not.
        DatabaseUnavailableError: the pooler gives no second connection, so it cannot be told.
    """
    first = backend(connection)
    for _ in range(_OTHERS):
        try:
            with closing(another()) as other:
                kept = _is_kept(connection, first, other)
        except psycopg.Error as error:
            said = str(error).strip().partition("\n")[0].rstrip(".")
            raise DatabaseUnavailableError(
                "There is a pooler in front of the database, and the second connection that shows "
                f"whether it keeps sessions cannot be used: {said}.",
                remedy="Let it take more clients, or connect to the server itself.",
            ) from None
        if kept is False:
            raise StoreRefusedError(
                "DATABASE_URL leads to a pooler that does not keep a session: it gives the "
                "server's to other clients between two transactions. Nothing was done.",
                remedy=REMEDY,
            )
        if kept:
            return


def _is_kept(connection: psycopg.Connection, first: int, other: psycopg.Connection) -> bool | None:
    """Say whether the session is kept; None where nothing speaks against it."""
    for _ in range(_ROUNDS):
        if backend(connection) != first or backend(connection) != first:
            return False
        other.pgconn.send_query(_ASK)
        answer = _answer(other)
        waits_until = time.monotonic() + _PATIENCE
        while answer is None:
            # It waits in line for a server session: of one that rests it would be given that.
            if backend(connection) != first:
                return False
            answer = _answer(other)
            if answer is None and time.monotonic() > waits_until:
                return True
        if answer == first:
            return False
    return None


def _answer(connection: psycopg.Connection) -> int | None:
    """Return what the server says to a question that was sent; None where it says nothing yet."""
    server = connection.pgconn
    with selectors.DefaultSelector() as selector:
        selector.register(server.socket, selectors.EVENT_READ)
        while server.is_busy():
            if not selector.select(_LOOK_EVERY):
                return None
            server.consume_input()
    found: int | None = None
    while (result := server.get_result()) is not None:
        if result.status != ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
        found = int(result.get_value(0, 0) or 0)
    return found
