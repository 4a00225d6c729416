"""Imports every command once, and forks for each that is asked for; see fork_server.py.

A fork ends as any process does: it waits for its threads, calls what was to be called at the end
and flushes. It leaves its objects to the system, for taking them apart one by one would have to
copy every page that all forks share, and take longer than most commands.

It is run with the numbers of two descriptors: where it is asked by the test process, with whose end
it ends, and where others connect that stand for a command; see warm_program.py.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from positionstore.cli import main
from positionstore.cli.commands import COMMANDS
from positionstore.dimes.http import trusted

_NUMBER: Final = struct.Struct("!i")
_BESIDE: Final = (
    "alembic.command",
    "alembic.config",
    "positionstore.export.iceberg",
    "positionstore.export.parquet",
    "positionstore.lake.by_duckdb",
    "positionstore.lake.feed",
    "positionstore.lake.verify",
    "positionstore.store.archive_file",
    "pyarrow.dataset",
    "rich.progress",
    "rich.table",
    "sqlalchemy",
)
"""What only some commands import, half a second each time."""
_NO_MATTER: Final = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
"""Variables that change nothing that a test of a command looks at."""
_PROGRAM: Final = "import sys; from positionstore.cli import main; sys.exit(main())"


class Asked(NamedTuple):
    """A process that is to be; see ``fork_server.forked`` for what they are."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    clocks: dict[str, float]
    descriptors: list[int]


def import_commands() -> None:
    """Import what commands import when they are called, and read what certificates they trust."""
    for _, home, _ in COMMANDS.values():
        importlib.import_module(f"positionstore.cli.{home.partition(':')[0]}")
    for name in _BESIDE:
        importlib.import_module(name)
    trusted()
    gc.collect()
    gc.freeze()  # what forks share is not written to by a collection


def receive(connection: socket.socket) -> Asked | None:
    """Return the next process that is asked for; None where the other side has gone."""
    head, descriptors, _, _ = socket.recv_fds(connection, _NUMBER.size, 4)
    if len(head) < _NUMBER.size:
        return None
    (length,) = _NUMBER.unpack(head)
    text = connection.recv(length, socket.MSG_WAITALL)
    arguments, environment, folder, clocks = json.loads(text)
    return Asked(arguments, environment, folder, clocks, descriptors)


def serve(connection: socket.socket, door: socket.socket) -> Asked | None:
    """Fork until the other side has gone; return twice: None here, and in each child its own.

    Who comes by the door is told the process's id and exit code on its connection.
    """
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([waking, connection.fileno(), door.fileno()], [], [])
        if waking in readable:
            os.read(waking, 4096)
            report_ends(statuses)
            continue
        asking = connection if connection.fileno() in readable else door.accept()[0]
        with nullcontext() if asking is connection else asking:
            if (asked := receive(asking)) is None:
                if asking is connection:
                    return None
                continue
            if asking is not connection:
                asked.descriptors.append(os.dup(asking.fileno()))
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                ours = [each.detach() for each in (connection, door)]
                for descriptor in (waking, wake, *ours, *statuses.values()):
                    os.close(descriptor)
                return asked
            asking.sendall(_NUMBER.pack(pid))
        *streams, statuses[pid] = asked.descriptors
        for descriptor in streams:
            os.close(descriptor)


def report_ends(statuses: dict[int, int]) -> None:
    """Tell the exit codes of those that have ended."""
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        descriptor = statuses.pop(pid)
        with suppress(BrokenPipeError):  # who asked has gone
            os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(descriptor)


def become(asked: Asked) -> None:
    """Take the arguments, environment, folder and streams of a process that was asked for."""
    *streams, status = asked.descriptors
    os.close(status)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if os.isatty(1):
        os.setsid()  # it has a terminal, and not that of the tests
    os.chdir(asked.folder)
    if read_at_start(os.environ) != read_at_start(asked.environment):
        # Only a process that starts reads these.
        program = () if is_script(asked.arguments) else ("-c", _PROGRAM)
        command = [sys.executable, *program, *asked.arguments]
        os.execve(sys.executable, command, asked.environment)  # noqa: S606 - no shell is wanted
    os.environ.clear()
    os.environ.update(asked.environment)
    time.tzset()
    for place, seconds in asked.clocks.items():
        module, _, name = place.rpartition(".")
        holder = importlib.import_module(module)
        assert hasattr(holder, name), place
        setattr(holder, name, seconds)
    sys.argv = [*asked.arguments] if is_script(asked.arguments) else ["-c", *asked.arguments]
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)


def is_script(arguments: Sequence[str]) -> bool:
    """Return whether a script is asked for, by its path, and not a command."""
    return arguments[:1] != [] and arguments[0].endswith(".py")


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Python reads when it starts, and a library when it is imported."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("PYTHON", "PYICEBERG_")) and name not in _NO_MATTER
    }


def of_script(path: Path) -> int:
    """Run a script that ends by ``sys.exit(main())``; return its code."""
    sys.path.insert(0, str(path.parent))
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code
        raise
    return 0


def run() -> NoReturn:
    """Run the command or the script, and end; what it raises is for the interpreter."""
    code = main() if sys.argv[0] == "-c" else of_script(Path(sys.argv[0]))
    threading._shutdown()  # type: ignore[attr-defined] # as the interpreter does at its end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    import_commands()
    if (child := serve(*(socket.socket(fileno=int(each)) for each in sys.argv[1:]))) is not None:
        become(child)
        run()
