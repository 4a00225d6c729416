"""Errors, in one line for the person who typed the command."""

import re
import sys
from typing import Final, Protocol, runtime_checkable

import typer

from positionstore.cli.console import broken
from positionstore.cli.interrupts import INTERRUPTED, exit_code_behind
from positionstore.cli.masking import masked
from positionstore.errors import DatabaseUnavailableError, PositionstoreError
from positionstore.escaping import one_line

PIPE_CLOSED: Final = 1
"""The exit code when the reader of standard output has gone, as typer has it."""

_INTERRUPT: Final = re.compile(r"\b(KeyboardInterrupt|SystemExit)\b")


@runtime_checkable
class _Usage(Protocol):
    """A command line that cannot be understood; typer has moved the class between versions."""

    exit_code: int

    def format_message(self) -> str: ...


def report(error: Exception) -> int:
    """Print an error in one line on standard error.

    An unexpected error is logged with its traceback.

    Returns:
        The exit code.
    """
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if (code := _interrupted(error)) is not None:
        return code
    if isinstance(error, _Usage):
        # The library under typer puts the kind of usage error before its message.
        if message := error.format_message().replace("Value error, ", "", 1):
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "positionstore"
            stop = "" if message.endswith((".", "?", "!")) else "."
            _say(f"{message}{stop} Try '{path} --help'.")
        return error.exit_code
    known = explain(error)
    if known is None:
        from positionstore.cli.logs import log_unexpected  # noqa: PLC0415 - a third of the start-up

        where = log_unexpected(error)
        _say(f"unexpected error: {type(error).__name__}: {error} (the details are in {where})")
        return 1
    _say(str(known))
    return known.exit_code


def _interrupted(error: BaseException) -> int | None:
    """Return the exit code of the interrupt that caused an error, if one did.

    psycopg closes a connection whose statement cannot be cancelled in time, and a rollback
    then fails because it is closed. pydantic, which pyiceberg's import builds models with, makes
    an error of its own of what comes meanwhile, and only names it.
    """
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, (psycopg.Error, DatabaseUnavailableError)):
        return exit_code_behind(error)
    pydantic = sys.modules.get("pydantic_core")
    is_pydantics = pydantic is not None and isinstance(error, pydantic.SchemaError)
    return INTERRUPTED if is_pydantics and _INTERRUPT.search(str(error)) else None


def explain(error: BaseException) -> PositionstoreError | None:
    """Return ``error`` as one that a user understands, or None if it is unexpected."""
    if isinstance(error, PositionstoreError):
        return error
    return _of_postgres(error) or _of_the_system(error)


def _of_postgres(error: BaseException) -> PositionstoreError | None:
    psycopg = sys.modules.get("psycopg")  # where it was not imported, it raised nothing
    # SQLAlchemy wraps the driver's error.
    error = getattr(error, "orig", None) or error
    if psycopg is None or not isinstance(error, psycopg.Error):
        return None
    from positionstore.store.db_errors import REMEDIES  # noqa: PLC0415 - only after an error
    from positionstore.store.refusals import TO_WORK  # noqa: PLC0415 - only after an error

    said = str(error).strip().splitlines()[0].rstrip(".") if str(error) else "?"
    message = f"PostgreSQL says: {said}."
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return PositionstoreError(message, remedy=TO_WORK)
    remedy = REMEDIES.get(error.sqlstate or "")
    if remedy is None and isinstance(error, psycopg.OperationalError):
        remedy = "See whether the server of DATABASE_URL runs and lets you in."
    return None if remedy is None else DatabaseUnavailableError(message, remedy=remedy)


def _of_the_system(error: BaseException) -> PositionstoreError | None:
    if not isinstance(error, OSError) or error.strerror is None:
        return None
    return PositionstoreError(f"{error.strerror}{f': {error.filename}' if error.filename else ''}")


def _say(line: str) -> None:
    print(broken(f"positionstore: {one_line(masked(line))}", sys.stderr), file=sys.stderr)
