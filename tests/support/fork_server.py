"""``positionstore`` as processes that begin with everything imported.

A command's process spends most of its time on imports. So each process of a test run has one that
imports all of them once, and forks for every command. A test gets a process of its own, with
arguments, environment, folder, streams and signals of its own, which ends as any other does. Where
the start is what is tried, or a listing of processes, a test starts the program itself.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol

_SERVER: Final = Path(__file__).with_name("forking.py")
_QUIETLY: Final = ("-W", "ignore:This process:DeprecationWarning:__main__")
"""What libraries run threads for, they see to when a process forks."""
_NUMBER: Final = struct.Struct("!i")


class Process(Protocol):
    """What tests do with a process: as ``asyncio.subprocess.Process``."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    async def communicate(self, input: bytes | None = None, /) -> tuple[bytes, bytes]: ...  # noqa: A002 - as there
    def send_signal(self, signal: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class _Server:
    """The one that forks, as this process knows it."""

    def __init__(self) -> None:
        self._one_by_one = threading.Lock()
        self._connection, theirs = socket.socketpair()
        self._folder = tempfile.TemporaryDirectory(prefix="forking-")
        self.door = Path(self._folder.name) / "door"
        with theirs, socket.socket(socket.AF_UNIX) as door:
            door.bind(str(self.door))
            door.listen()
            numbers = [theirs.fileno(), door.fileno()]
            self._process = subprocess.Popen(
                [sys.executable, "-P", *_QUIETLY, _SERVER, *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def fork(self, request: object, descriptors: Sequence[int]) -> int:
        """Ask for a process with these descriptors; return its id."""
        text = json.dumps(request).encode()
        with self._one_by_one:
            socket.send_fds(self._connection, [_NUMBER.pack(len(text))], descriptors)
            self._connection.sendall(text)
            answer = self._connection.recv(_NUMBER.size, socket.MSG_WAITALL)
        if len(answer) < _NUMBER.size:
            raise RuntimeError(f"{_SERVER.name} has ended with code {self._process.wait()}")
        (pid,) = _NUMBER.unpack(answer)
        return int(pid)

    def _close(self) -> None:
        self._connection.close()
        self._process.wait()
        self._folder.cleanup()


@cache
def _server() -> _Server:
    return _Server()


def door() -> Path:
    """Return the socket where programs ask that stand for a command; see warm_program.py."""
    return _server().door


def fork(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    descriptors: Sequence[int],
    *,
    clocks: Mapping[str, float] | None = None,
) -> int:
    """Start what :func:`forked` starts, from any thread, and return its id.

    Args:
        arguments: as there, and so the rest but:
        descriptors: of its standard input, output and error, and where its exit code is written to;
            they stay the caller's.
    """
    request = [list(arguments), dict(environment), str(folder), dict(clocks or {})]
    return _server().fork(request, descriptors)


class Forked:
    """A command's process; its exit code comes through a pipe, from the one that forked it."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._ending: asyncio.Task[int]

    async def connect(self, stdin: int | None, stdout: int, stderr: int, status: int) -> None:
        """Take the test's ends of its pipes."""
        self.stdin = None if stdin is None else await self._writer(stdin)
        self.stdout = await self._reader(stdout)
        self.stderr = await self._reader(stderr)
        self._ending = asyncio.create_task(self._end(await self._reader(status)))

    async def _reader(self, descriptor: int) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        self._transports.append(transport)
        return reader

    async def _writer(self, descriptor: int) -> asyncio.StreamWriter:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()),
            os.fdopen(descriptor, "wb", 0),
        )
        self._transports.append(transport)
        return asyncio.StreamWriter(transport, protocol, None, loop)

    async def _end(self, status: asyncio.StreamReader) -> int:
        self.returncode = int(await status.read() or -signal.SIGKILL)
        return self.returncode

    async def wait(self) -> int:
        """Wait for its end."""
        return await asyncio.shield(self._ending)

    async def communicate(self, given: bytes | None = None, /) -> tuple[bytes, bytes]:
        """Give it its input, and wait for all that it prints and for its end."""
        assert self.stdout is not None
        assert self.stderr is not None
        out, err, _ = await asyncio.gather(
            self.stdout.read(), self.stderr.read(), self._feed(given or b"")
        )
        await self.wait()
        return out, err

    async def _feed(self, given: bytes) -> None:
        if self.stdin is None:
            return
        try:
            self.stdin.write(given)
            await self.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it does not read to the end
        self.stdin.close()

    def send_signal(self, number: int, /) -> None:
        """Send it a signal.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of its streams."""
        for transport in self._transports:
            transport.close()


async def forked(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    fed: bool = False,
    clocks: Mapping[str, float] | None = None,
) -> Forked:
    """Start ``positionstore ARGUMENTS``, or a script where the first argument is one's path.

    Args:
        arguments: those of the command line.
        environment: all of it.
        folder: where it works.
        fed: whether the test writes to its standard input; it is empty otherwise.
        clocks: seconds that no setting names, by the constant (``package.module.NAME``) that holds
            them: other than a user's, so that a test need not wait for them.
    """
    pipes = [os.pipe() for _ in range(3)]
    fed_by = os.pipe() if fed else (os.open(os.devnull, os.O_RDONLY), None)
    theirs = [fed_by[0], *(written for _, written in pipes)]
    try:
        pid = fork(arguments, environment, folder, theirs, clocks=clocks)
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    process = Forked(pid)
    await process.connect(fed_by[1], *(read for read, _ in pipes))
    return process


def completed(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    given: str = "",
    within: float,
) -> subprocess.CompletedProcess[str]:
    """Run ``positionstore ARGUMENTS`` to its end, where no event loop runs.

    Raises:
        TimeoutError: it took longer than so many seconds, and was killed.
    """
    done = completed_in_bytes(
        arguments, environment=environment, folder=folder, given=given.encode(), within=within
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def completed_in_bytes(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    given: bytes = b"",
    within: float,
) -> subprocess.CompletedProcess[bytes]:
    """Do the same, and return what it printed as it was."""

    async def run() -> subprocess.CompletedProcess[bytes]:
        process = await forked(arguments, environment=environment, folder=folder, fed=True)
        try:
            out, err = await asyncio.wait_for(process.communicate(given), within)
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
            process.close()
        return subprocess.CompletedProcess(list(arguments), code, out, err)

    return asyncio.run(run())
