"""A pooler in front of the server: does it keep one server session for one client?

A server names the process that serves a connection when the connection begins; a pooler names a
number of its own. So where the two agree there is no pooler. Where they differ, a few connections
take turns asking which process serves them. A pooler that gives a server session away between
two transactions answers one of them from another session sooner or later, or two of them from the
same:

- one that takes the session that was used last gives the first connection's to the second;
- one that takes the session that rested longest gives the first one another, and so it is asked
  twice in a row;
- one that has no session left lets the last one wait, and hands it one that is free;
- of one that is several processes, two connections meet in one process.

Nothing is set, locked, prepared or written meanwhile; each question is a transaction of its own.
"""

import selectors
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Final

import psycopg
from psycopg.pq import ExecStatus

from positionstore.errors import (
    DatabaseUnavailableError,
    SessionLostError,
    StoreRefusedError,
    first_line,
)

REMEDY: Final = (
    "Let it pool by session (PgBouncer: pool_mode = session) for this user or "
    "database, or connect to the server itself."
)
"""What a person can do where a session is not kept."""

_OTHERS: Final = 3
"""Connections beside the first. More would show more, and take sessions that others may want."""

_ROUNDS: Final = 4
"""Turns after each that is opened. Other clients can hide the truth in one, but hardly in all."""

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
        another: opens another one to the same place.

    Raises:
        StoreRefusedError: it does not.
        DatabaseUnavailableError: the pooler gives no second connection, so it cannot be seen.
    """
    processes = [backend(connection)]
    with ExitStack() as stack:
        others: list[psycopg.Connection] = []
        for number in range(_OTHERS):
            try:
                others.append(stack.enter_context(closing(another())))
                if _wait_in_line(connection, others, processes):
                    return
            except _NotKeptError:
                raise StoreRefusedError(
                    "DATABASE_URL leads to a pooler that does not keep a session: it gives the "
                    "server's to other clients between two transactions. Nothing was done.",
                    remedy=REMEDY,
                ) from None
            except psycopg.Error as error:
                if number:
                    return  # it gives no third; the second has shown it
                said = first_line(error).rstrip(".")
                raise DatabaseUnavailableError(
                    "There is a pooler in front of the database, and the second connection that "
                    f"shows whether it keeps sessions cannot be used: {said}.",
                    remedy="Let it take more clients, or connect to the server itself.",
                ) from None


class _NotKeptError(Exception):
    """A connection was served by another process than before, or two by the same."""


def _wait_in_line(
    connection: psycopg.Connection, others: Sequence[psycopg.Connection], processes: list[int]
) -> bool:
    """Let all take turns in asking; say whether one waits for a session, though one rests.

    Args:
        connection: the first.
        others: the others, of which the last one has asked nothing yet.
        processes: what all but the last one answered; its answer is added.

    Raises:
        _NotKeptError: so it is.
        psycopg.Error: a connection cannot be used.
    """
    first = processes[0]
    for _ in range(_ROUNDS):
        _expect(first, backend(connection))
        _expect(first, backend(connection))
        for number, other in enumerate(others, start=1):
            other.pgconn.send_query(_ASK)
            waits_until = time.monotonic() + _PATIENCE
            while (answer := _answer(other)) is None:
                # Of a session that rests, as the first one's does in between, it would be given
                # that.
                _expect(first, backend(connection))
                if time.monotonic() > waits_until:
                    return True
            if number < len(processes):
                _expect(processes[number], answer)
            elif answer in processes:
                raise _NotKeptError
            else:
                processes.append(answer)
    return False


def _expect(process: int, found: int) -> None:
    if found != process:
        raise _NotKeptError


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
