"""Commands of ours on a terminal or without one, without the time that a new interpreter takes.

Each is a process of its own, with streams of its own, which are pseudo-terminals or files; see
fork_server.py.
"""

import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Final

from support.fork_server import fork
from support.waiting import DEADLINE

COLUMNS: Final = 4_000
"""How wide a terminal is: wide enough for what is looked for to be in one piece."""

_PIECE: Final = 1 << 16


@dataclass(frozen=True)
class Shown:
    """What a command wrote, byte for byte, and how it ended."""

    code: int
    out: bytes
    err: bytes


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, terminal: bool
) -> Shown:
    """Run a command, and wait for its end.

    Args:
        arguments: what is typed after ``positionstore``, or a script's path and its arguments.
        environment: its variables, and no others.
        folder: where it is run.
        terminal: whether its standard output and error are terminals, one each; else files.
    """
    streams = [_Stream(folder / f".{name}", terminal=terminal) for name in ("out", "err")]
    given = os.open(os.devnull, os.O_RDONLY)
    ended, end = os.pipe()
    try:
        theirs = [given, *(each.theirs for each in streams), end]
        process = fork(arguments, environment, folder, theirs)
        os.close(end)
        code = _until(ended, process, [each for each in streams if terminal])
        return Shown(code, *(each.written() for each in streams))
    finally:
        for descriptor in (given, ended):
            os.close(descriptor)
        for stream in streams:
            stream.close()


class _Stream:
    """Where a command writes to.

    Attributes:
        theirs: the descriptor that it writes to.
        ours: the terminal's other end; None for a file.
    """

    def __init__(self, path: Path, *, terminal: bool) -> None:
        self.read = bytearray()
        self.ours: int | None = None
        self._path = path
        if terminal:
            self.ours, self.theirs = pty.openpty()
            fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        else:
            self.theirs = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def take(self) -> None:
        """Read a piece of what there is."""
        assert self.ours is not None
        self.read += os.read(self.ours, _PIECE)

    def written(self) -> bytes:
        """Return all that was written; the command has ended."""
        if self.ours is None:
            return self._path.read_bytes()
        while wait([self.ours], timeout=0):
            self.take()
        return bytes(self.read)

    def close(self) -> None:
        os.close(self.theirs)
        if self.ours is not None:
            os.close(self.ours)


def _until(ended: int, process: int, terminals: Sequence[_Stream]) -> int:
    """Take what a command writes to its terminals until it has ended; return its exit code."""
    by_descriptor = {each.ours: each for each in terminals if each.ours is not None}
    while ready := wait([ended, *by_descriptor], timeout=DEADLINE):
        for each in ready:
            if isinstance(each, int) and each in by_descriptor:
                by_descriptor[each].take()
        if ended in ready:
            return int(os.read(ended, 16))
    os.kill(process, signal.SIGKILL)
    raise AssertionError("it did not end")
