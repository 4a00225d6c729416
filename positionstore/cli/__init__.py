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

from positionstore.cli import interrupts


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
    with interrupts.ending_at_once():
        from positionstore.cli.commands import load, program  # noqa: PLC0415 - most of the start-up
        from positionstore.cli.errors import PIPE_CLOSED, report  # noqa: PLC0415 - the same
    _prepare_streams()
    is_ours = arguments is None  # the process: the command line is its own
    try:
        if is_ours:
            interrupts.end_on_sigterm()
            interrupts.repeat_where_lost()
            # At the exit, a look for garbage is a fifth of the CPU time of a short command.
            atexit.register(gc.freeze)
        entry = program() if command is None else load(command)
        outcome = entry.main(args=arguments, prog_name=called, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        outcome = interrupts.INTERRUPTED
    except SystemExit as leaving:  # typer's answer to a reader that has gone
        return leaving.code if isinstance(leaving.code, int) else 1
    except BrokenPipeError:
        # What is still buffered would fail once more, loudly, at the interpreter's exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - no traceback ever reaches a user
        outcome = report(error)
    finally:
        if is_ours:
            interrupts.end_at_once()
    return interrupts.exit_code(outcome) if isinstance(outcome, int) else 0


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
