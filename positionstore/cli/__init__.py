"""The command line: one module a command group, no logic.

:func:`main` is the entry point. It stays light: a command's module, and with it Postgres, the
network and the rest, is imported when that command is called, so that ``--help`` and
``--version`` answer at once.
"""

import atexit
import gc
import os
import sys
from collections.abc import Sequence

from positionstore.cli.commands import load, program
from positionstore.cli.errors import PIPE_CLOSED, report
from positionstore.cli.interrupts import INTERRUPTED


def main(
    arguments: Sequence[str] | None = None,
    *,
    command: str | None = None,
    called: str = "positionstore",
) -> int:
    """Run a command and return the exit code of the process.

    Errors are one line with cause and remedy on standard error, never a traceback.

    Args:
        arguments: those of the command line, without the program's name.
        command: the only command of the program, if it is not all of them.
        called: the program's name.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    if arguments is None:  # of the command line: the process is ours
        # The collection at the exit, of what goes anyway, is a fifth of a short command's CPU time.
        atexit.register(gc.freeze)
    try:
        entry = program() if command is None else load(command)
        outcome = entry.main(args=arguments, prog_name=called, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:  # typer's answer to a reader that has gone
        return leaving.code if isinstance(leaving.code, int) else 1
    except BrokenPipeError:
        # What is still buffered would fail once more, loudly, at the interpreter's exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - no traceback ever reaches a user
        return report(error)
    return outcome if isinstance(outcome, int) else 0
