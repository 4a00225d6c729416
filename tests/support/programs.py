"""Programs of ours as processes, against a sandbox that runs in the test."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from positionstore.sandbox import Sandbox
from support.bare import bare_environment
from support.fork_server import Forked, Process, forked
from support.waiting import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
POSITIONSTORE = ("-c", "import sys; from positionstore.cli import main; sys.exit(main())")


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def actions(self) -> list[str]:
        return [line["action"] for line in self.log]

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines()]


async def ended(process: Process, *, within: float = DEADLINE) -> Done:
    """Wait for the end of a process, and see that no traceback was printed."""
    out, err = await asyncio.wait_for(process.communicate(), within)
    assert process.returncode is not None
    done = Done(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in done.out + done.err.replace('"exception"', "Traceback"), done
    return done


@dataclass
class Programs:
    """Starts them in a folder, with the environment that a test gives.

    Attributes:
        folder: where they work.
        environment: what all of them get.
        clocks: seconds that no setting names; see ``fork_server.forked``.
        as_users_do: whether each is started with an interpreter of its own, and so is seen in a
            listing of processes as a user's is.
        started: all of them.
    """

    folder: Path
    environment: dict[str, str]
    as_users_do: bool = False
    clocks: dict[str, float] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

    def against(self, sandbox: Sandbox) -> None:
        self.environment |= {"DIMES_BASE_URL": sandbox.url, "DIMES_API_KEY": sandbox.api_key}

    async def start(self, *arguments: str, **environment: str) -> Process:
        """Start ``positionstore ARGUMENTS``, or a script where the first argument is one's path."""
        return await self._start(arguments, environment, fed=False)

    async def feed(self, *arguments: str) -> Process:
        """Start one that is to read what the test writes to its standard input."""
        return await self._start(arguments, {}, fed=True)

    async def _start(
        self, arguments: Sequence[str], environment: dict[str, str], *, fed: bool
    ) -> Process:
        script = arguments[0].endswith(".py")
        whole = {**self.environment, **environment}
        process: Process
        if self.as_users_do:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(() if script else POSITIONSTORE),
                *arguments,
                cwd=self.folder,
                env=whole,
                stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        else:
            process = await forked(
                arguments, environment=whole, folder=self.folder, fed=fed, clocks=self.clocks
            )
        self.started.append(process)
        return process

    async def run(self, *arguments: str, expect: int = 0, **environment: str) -> Done:
        """Start one, wait for its end, and see that it ends with this code."""
        done = await ended(await self.start(*arguments, **environment))
        assert done.code == expect, done
        return done


@asynccontextmanager
async def programs_on(
    store_url: str, folder: Path, *, as_users_do: bool = False
) -> AsyncIterator[Programs]:
    """Start programs on a store; kill afterwards what still runs."""
    programs = Programs(
        folder,
        {
            **bare_environment(),
            "DATABASE_URL": store_url,
            "POSITIONSTORE_DATA_DIR": str(folder / "data"),
            "POSITIONSTORE_HEARTBEAT_EVERY": "0.1",
            "POSITIONSTORE_RECONNECT_CAP": "0.2",
            "POSITIONSTORE_HTTP_RATE": "1000",
            "POSITIONSTORE_SETTLE_WINDOW": "0.5",
            "POSITIONSTORE_LISTEN": "off",
            "PYTHONPATH": str(ROOT),
        },
        as_users_do,
    )
    try:
        yield programs
    finally:
        for process in programs.started:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if isinstance(process, Forked):
                process.close()
