"""Commands of ours on a terminal or without one, without the time that a new interpreter takes.

A server that has imported them forks one process a command: a real one, with its own streams, which
are pseudo-terminals or files.
"""

import fcntl
import multiprocessing
import os
import pty
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Final

from positionstore.cli import main
from positionstore.cli.commands import COMMANDS, SCRIPTS
from support.waiting import DEADLINE

COLUMNS: Final = 4_000
"""How wide a terminal is: wide enough for what is looked for to be in one piece."""

_PIECE: Final = 1 << 16

_servers = multiprocessing.get_context("forkserver")
_servers.set_forkserver_preload(
    [
        "pytest",
        "rich.console",
        "rich.progress",
        "rich.table",
        *sorted(
            f"positionstore.cli.{place.partition(':')[0]}"
            for place in (*(place for _, place, _ in COMMANDS.values()), *SCRIPTS.values())
        ),
    ]
)


@dataclass(frozen=True)
class Shown:
    """What a command wrote, byte for byte, and how it ended."""

    code: int
    out: bytes
    err: bytes


def run(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    terminal: bool,
    script: bool = False,
) -> Shown:
    """Run a command, and wait for its end.

    Args:
        arguments: what is typed after ``positionstore``; a script's name comes first.
        environment: its variables, and no others.
        folder: where it is run.
        terminal: whether its standard output and error are terminals, one each; else files.
        script: whether it is one of the scripts.
    """
    streams = [_Stream(folder / f".{name}", terminal=terminal) for name in ("out", "err")]
    process = _servers.Process(
        target=_become,
        args=(
            list(arguments),
            dict(environment),
            str(folder),
            [each.name for each in streams],
            script,
        ),
    )
    try:
        process.start()
        _read(process, [each for each in streams if terminal])
        assert process.exitcode is not None, f"it did not end: {arguments}"
        return Shown(process.exitcode, *(each.written() for each in streams))
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        process.close()
        for stream in streams:
            stream.close()


class _Stream:
    """Where a command writes to."""

    def __init__(self, path: Path, *, terminal: bool) -> None:
        self.read = bytearray()
        self.descriptors: list[int] = []
        self.name = str(path)
        if terminal:
            self.descriptors = list(pty.openpty())
            for descriptor in self.descriptors:
                fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
            self.name = os.ttyname(self.descriptors[1])
        else:
            path.write_bytes(b"")

    def take(self) -> None:
        """Read a piece of what there is."""
        self.read += os.read(self.descriptors[0], _PIECE)

    def written(self) -> bytes:
        """Return all that was written; the command has ended."""
        if not self.descriptors:
            return Path(self.name).read_bytes()
        while wait([self.descriptors[0]], timeout=0):
            self.take()
        return bytes(self.read)

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


def _read(process: multiprocessing.process.BaseProcess, streams: Sequence[_Stream]) -> None:
    """Take what a command writes to its terminals until it has ended."""
    by_descriptor = {each.descriptors[0]: each for each in streams}
    while ready := wait([process.sentinel, *by_descriptor], timeout=DEADLINE):
        for each in ready:
            if isinstance(each, int) and each in by_descriptor:
                by_descriptor[each].take()
        if process.sentinel in ready:
            process.join()
            return


def _become(
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    streams: list[str],
    script: bool,
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in enumerate((os.devnull, *streams)):
        opened = os.open(name, (os.O_WRONLY if descriptor else os.O_RDONLY) | os.O_NOCTTY)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    if script:
        sys.exit(main(arguments[1:], command=arguments[0], called=arguments[0]))
    sys.exit(main(arguments))
