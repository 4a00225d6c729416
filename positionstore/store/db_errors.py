"""What to do about an error of the database: told apart in one place, by SQLSTATE.

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
)
from positionstore.store.refusals import TO_WORK
from positionstore.store.sequences import is_of_numbers


class Verdict(StrEnum):
    """What to do after an error."""

    RETRY = "retry"
    """The database cannot be used just now: what was to be written is written later."""
    SPLIT = "split"
    """Something in the batch is refused, and will be: it has to be found and put aside."""
    STOP = "stop"
    """No try will succeed until a person changes something: say so and end."""


_BY_STATE: Final = {
    "0A000": Verdict.RETRY,  # "cached plan must not change result type": the schema has moved on
    "25006": Verdict.RETRY,  # a read-only transaction: it is failing over
    "40002": Verdict.SPLIT,  # an integrity constraint, found at the commit
    "42501": Verdict.STOP,  # insufficient privilege
    "42P05": Verdict.RETRY,  # a prepared statement is there already, or is not: a pooler's doing
    "55000": Verdict.RETRY,
}
_BY_CLASS: Final = {
    "08": Verdict.RETRY,  # connection
    "0B": Verdict.RETRY,
    "21": Verdict.SPLIT,  # cardinality
    "22": Verdict.SPLIT,  # data
    "23": Verdict.SPLIT,  # integrity constraint
    "25": Verdict.RETRY,  # transaction state
    "26": Verdict.RETRY,  # a statement's name is not known: a pooler's doing
    "27": Verdict.SPLIT,  # a trigger's change
    "28": Verdict.STOP,  # authorization
    "3D": Verdict.STOP,  # no such database
    "3F": Verdict.STOP,  # no such schema
    "40": Verdict.RETRY,  # rolled back: deadlock, serialization
    "42": Verdict.STOP,  # a table, a column, a function is not there, or is another
    "44": Verdict.SPLIT,  # WITH CHECK OPTION
    "53": Verdict.RETRY,  # resources: disk full, memory, too many connections
    "54": Verdict.SPLIT,  # too much for an index or a type
    "55": Verdict.RETRY,  # a lock that does not come
    "57": Verdict.RETRY,  # shutdown, starting up, a timeout, cancelled
    "58": Verdict.RETRY,  # the operating system's
    "F0": Verdict.RETRY,  # configuration file
    "P0": Verdict.SPLIT,  # raised by a trigger
    "XX": Verdict.RETRY,  # internal: whole tables may be damaged, no event is to blame
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


def judge(error: BaseException) -> Verdict:
    """Say what to do about an error that came of writing a batch.

    Where no connection could be made, libpq gives no SQLSTATE: the store was there when this
    process began, so it is waited for.
    """
    if isinstance(error, DatabaseUnavailableError | OSError | MemoryError):
        return Verdict.RETRY
    if isinstance(error, PositionstoreError):
        return Verdict.STOP
    if not isinstance(error, psycopg.Error):
        return Verdict.SPLIT  # a fault of ours in handling one of them
    if is_of_numbers(error):
        return Verdict.RETRY  # a sequence is behind, and no event is to blame: the next sets it
    state = error.sqlstate
    if state is None:
        # Of a value that cannot be sent the driver says so itself.
        return Verdict.SPLIT if isinstance(error, psycopg.DataError) else Verdict.RETRY
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or Verdict.RETRY


def explained(error: Exception) -> Exception:
    """Return an error that ends the process as one whose message says what to do."""
    if not isinstance(error, psycopg.Error):
        return error
    said = (error.diag.message_primary or str(error)).strip().partition("\n")[0]
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
