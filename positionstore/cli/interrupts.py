"""Ctrl-C and SIGTERM, and the errors of the database that come of them."""

import logging
import sys
from typing import Final

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""


def exit_code_behind(error: BaseException | None) -> int | None:
    """Return the exit code of the interrupt while which an error arose, or None without one.

    Args:
        error: may be the interrupt itself.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else 1
        error = error.__context__
    return None


def is_news(_: logging.LogRecord) -> bool:
    """Return whether a line of psycopg's says more than that an interrupt came.

    An interrupt may come between two steps of a statement. The rollback that follows then fails,
    or the statement cannot be cancelled, and psycopg warns of either although nothing is lost.
    """
    return exit_code_behind(sys.exception()) is None
