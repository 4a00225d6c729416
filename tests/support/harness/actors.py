"""Our processes, as systemd would run them: whatever ends is started again."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from support.harness import clock

DURABILITY = "POSITIONSTORE_DURABILITY"

_RESTART_AFTER = 0.3
_PATIENCE = 60.0


@dataclass(slots=True)
class Life:
    """A process, from its start to its end.

    Attributes:
        name: what it is called in the header ``Via``.
        durable: whether it puts every event on disk before it reads the next.
        killed: whether it ended by kill -9.
    """

    name: str
    durable: bool = False
    killed: bool = False


class Actor:
    """A command of positionstore that is started again whenever it ends.

    Args:
        name: what to call it.
        arguments: the command.
        environment: tells its environment, again for each life.
        folder: where it runs and where its log is: ``<name>.log``.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        environment: Callable[[], dict[str, str]],
        folder: Path,
    ) -> None:
        self.name = name
        self.lives: list[Life] = []
        self.codes: list[int] = []
        self._arguments = arguments
        self._environment = environment
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def via(self) -> str:
        """What its proxy says of itself."""
        return f"1.1 {self.lives[-1].name if self.lives else self.name}"

    def start(self) -> None:
        """Start it, and keep it running."""
        self._stopping = False
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while not self._stopping:
            await self.live()
            if not self._stopping:
                await asyncio.sleep(_RESTART_AFTER)

    async def live(self) -> int:
        """Run it once, to its end; return its exit code."""
        environment = self._environment()
        life = Life(f"{self.name}-{len(self.lives)}", environment.get(DURABILITY) == "spool")
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                clock.__file__,
                *self._arguments,
                cwd=self._folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        # Not before it can be sent a signal: whoever restarts it waits for the next life.
        self.lives.append(life)
        if self._stopping:
            self.ask_to_stop()
        try:
            code = await self._process.wait()
        except asyncio.CancelledError:
            self.kill()
            await self._process.wait()
            raise
        life.killed = code == -signal.SIGKILL
        self.codes.append(code)
        return code

    def kill(self) -> None:
        """Kill it, with kill -9."""
        self._send(signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def restart(self) -> None:
        """Stop it politely, and wait until its next life has begun."""
        lives = len(self.lives)
        self.ask_to_stop()
        while len(self.lives) == lives:  # noqa: ASYNC110 - a count is polled
            await asyncio.sleep(0.02)

    def usage(self) -> tuple[int, int]:
        """Return the bytes of memory and the file handles it uses."""
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        return process.memory_info().rss, process.num_fds()

    async def stop(self) -> None:
        """Stop it for good: politely, and by kill -9 where it does not obey."""
        self._stopping = True
        if self._keeper is None:
            return
        self.ask_to_stop()
        try:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.shield(self._keeper)
        except TimeoutError:
            self.kill()
            await self._keeper
