"""What to do about an error of the database: decided in one place, by SQLSTATE.

Source: the PostgreSQL manual, appendix "PostgreSQL Error Codes".
"""

from enum import StrEnum
from typing import Final

import psycopg

from positionstore.errors import (
    DatabaseUnavailableError,
    PositionstoreError,
    SchemaMismatchError,
    StoreRefusedError,
    first_line,
)
from positionstore.store.refusals import TO_WORK
from positionstore.store.sequences import is_of_numbers


class ErrorAction(StrEnum):
    """What to do after an error."""

    RETRY = "retry"
    """The database cannot be used just now: what was to be written is written later."""
    SPLIT = "split"
    """Something in the batch is refused, and will be: it has to be found and put aside."""
    STOP = "stop"
    """No try will succeed until a person changes something: say so and end."""


_BY_STATE: Final = {
    "0A000": ErrorAction.RETRY,  # "cached plan must not change result type": the schema moved on
    "25006": ErrorAction.RETRY,  # a read-only transaction: it is failing over
    "40002": ErrorAction.SPLIT,  # an integrity constraint, found at the commit
    "42501": ErrorAction.STOP,  # insufficient privilege
    "42P05": ErrorAction.RETRY,  # a prepared statement exists already, or does not: a pooler
    "55000": ErrorAction.RETRY,
}
_BY_CLASS: Final = {
    "08": ErrorAction.RETRY,  # connection
    "0B": ErrorAction.RETRY,
    "21": ErrorAction.SPLIT,  # cardinality
    "22": ErrorAction.SPLIT,  # data
    "23": ErrorAction.SPLIT,  # integrity constraint
    "25": ErrorAction.RETRY,  # transaction state
    "26": ErrorAction.RETRY,  # a statement's name is not known: a pooler's doing
    "27": ErrorAction.SPLIT,  # a trigger's change
    "28": ErrorAction.STOP,  # authorization
    "3D": ErrorAction.STOP,  # no such database
    "3F": ErrorAction.STOP,  # no such schema
    "40": ErrorAction.RETRY,  # rolled back: deadlock, serialization
    "42": ErrorAction.STOP,  # a table, a column, a function is not there, or is another
    "44": ErrorAction.SPLIT,  # WITH CHECK OPTION
    "53": ErrorAction.RETRY,  # resources: disk full, memory, too many connections
    "54": ErrorAction.SPLIT,  # too much for an index or a type
    "55": ErrorAction.RETRY,  # a lock that does not come
    "57": ErrorAction.RETRY,  # shutdown, starting up, a timeout, cancelled
    "58": ErrorAction.RETRY,  # the operating system's
    "F0": ErrorAction.RETRY,  # configuration file
    "P0": ErrorAction.SPLIT,  # raised by a trigger
    "XX": ErrorAction.RETRY,  # internal: whole tables may be damaged, no event is to blame
}


REMEDIES: Final = {
    "25006": "Point DATABASE_URL to the primary, not to a standby, and to the writer, not to the "
    "reader.",
    "25P03": "The server ended a transaction that was idle: raise its "
    "idle_in_transaction_session_timeout, or see what holds this machine up.",
    "25P04": "The server ended a transaction that took too long: raise its transaction_timeout.",
    "53100": "Make room on the disk of the database, and run it again.",
    "53200": "The server has no memory left: let it do less at once, or give it more.",
    "53300": "The server takes no more connections: close some, or raise max_connections (or the "
    "role's CONNECTION LIMIT).",
    "55P03": "Another session holds what is needed: let it end, or end it with "
    "pg_terminate_backend, and run it again.",
    "57014": "A person or a program cancelled the statement (pg_cancel_backend); positionstore "
    "sets no time limit for it, and lifts those of the role. Run it again.",
    "57P01": "An administrator ended the connection, or the server stops: run it again.",
    "57P03": "The server is starting up or shutting down: run it again in a moment.",
    "57P05": "The server ended a session that was idle: raise its idle_session_timeout.",
}
"""What a person can do, by SQLSTATE, where that is more than to look at the server."""


def classify(error: BaseException) -> ErrorAction:
    """Say what to do about an error from writing a batch.

    Where no connection could be made, libpq gives no SQLSTATE: the store was there when this
    process began, so it is waited for.
    """
    if isinstance(error, DatabaseUnavailableError | OSError | MemoryError):
        return ErrorAction.RETRY
    if isinstance(error, PositionstoreError):
        return ErrorAction.STOP
    if not isinstance(error, psycopg.Error):
        return ErrorAction.SPLIT  # a fault of ours in handling one of them
    if is_of_numbers(error):
        return ErrorAction.RETRY  # a sequence is behind, and no event is to blame: the next sets it
    state = error.sqlstate
    if state is None:
        # Of a value that cannot be sent the driver says so itself.
        return ErrorAction.SPLIT if isinstance(error, psycopg.DataError) else ErrorAction.RETRY
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or ErrorAction.RETRY


def explained(error: Exception) -> Exception:
    """Return an error that ends the process as one whose message says what to do."""
    if not isinstance(error, psycopg.Error):
        return error
    said = first_line(error.diag.message_primary or error)
    state = error.sqlstate or ""
    if state == "42501":
        return StoreRefusedError(f"PostgreSQL says: {said}.", remedy=TO_WORK)
    if state.startswith("28"):
        return StoreRefusedError(
            f"PostgreSQL says: {said}.", remedy="Let the role of DATABASE_URL log in."
        )
    if state.startswith(("42", "3F")):
        return SchemaMismatchError(
            f"The database's schema is not this version's: {said}.",
            remedy="Run `positionstore migrate`, or upgrade positionstore.",
        )
    return StoreRefusedError(f"PostgreSQL says: {said}.", remedy="Check DATABASE_URL.")
