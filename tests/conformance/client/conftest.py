"""Node.js and the official client, as a listener whose every word a test can wait for."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from support.official_server import Said, node
from support.waiting import DEADLINE

HERE = Path(__file__).parent


class Listener:
    """The official client in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def hear(self) -> Said:
        """The next thing it says."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), DEADLINE)
        assert line, "the listener ended"
        said: Said = json.loads(line)
        return said

    async def hear_about(self, what: str) -> Said:
        """The next thing of a kind; what is said before it is passed over."""
        while True:
            said = await self.hear()
            if said["on"] == what:
                return said

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), DEADLINE)


Listen = Callable[..., Awaitable[Listener]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Start the official client on a URL with options."""
    modules = HERE.parent / "node_modules" / "socket.io-client"
    assert modules.is_dir(), "the npm packages are missing: run scripts/setup"
    listeners: list[Listener] = []

    async def start(url: str, **options: object) -> Listener:
        process = await asyncio.create_subprocess_exec(
            node(),
            str(HERE / "listener.mjs"),
            url,
            env={**os.environ, "OPTIONS": json.dumps(options)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=16_000_000,
        )
        listeners.append(Listener(process))
        return listeners[-1]

    yield start
    for listener in listeners:
        await listener.close()
