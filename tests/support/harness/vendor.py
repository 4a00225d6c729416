"""The other side: ``positionstore sandbox`` as a process, told what to do and asked what it did."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from support.programs import POSITIONSTORE

from positionstore.sandbox.sessions import Session

_PATIENCE = 60.0
_GOODBYE = 3.0


class Vendor:
    """The sandbox's process, through its control endpoints.

    Attributes:
        port: where it listens.
        api_key: the key that it accepts.
        recording: the file in which it records what it emits.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, told: dict[str, Any], recording: Path
    ) -> None:
        self.process = process
        self.port = int(told["base_url"].rpartition(":")[2])
        self.api_key: str = told["api_key"]
        self.recording = recording
        self._http = httpx.AsyncClient(
            base_url=told["base_url"], trust_env=False, timeout=_PATIENCE
        )
        self._malformed = 0

    async def faults(self, **changes: object) -> None:
        """Change the faults in force."""
        await self._post("faults", changes)

    async def disconnect(self, how: str) -> None:
        """Disconnect every client: ``server`` politely, ``transport`` by cutting the connection."""
        # The sandbox waits for each to say goodbye: one whose link is dead never does.
        with contextlib.suppress(httpx.ReadTimeout):
            await self._post("disconnect", {"how": how}, patience=_GOODBYE)

    async def send_nonsense(self) -> None:
        """Send every client something that is no event, each time another."""
        self._malformed += 1
        text = f'{{"id":"nonsense_{self._malformed}","type":7,"created_at":"yesterday"}}'
        await self._post("emit", {"event": "position.opened", "arguments": [text]})

    async def rest(self) -> None:
        """Let nothing happen any more, and send what was held back."""
        await self._post("quiet", {})

    async def resume(self) -> None:
        """Let the world go on."""
        await self._post("resume", {})

    async def sessions(self) -> list[Session]:
        """Return every client's connection so far."""
        answer = await self._http.get("/_sandbox/sessions")
        return msgspec.json.decode(answer.raise_for_status().content, type=list[Session])

    async def truth(self) -> dict[str, Any]:
        """Return every position of the partner as it really is."""
        answer = await self._http.get("/_sandbox/truth", params={"partner": "0"})
        positions: dict[str, Any] = answer.raise_for_status().json()["positions"]
        return positions

    def freeze(self) -> None:
        """Stop its process: it neither answers nor hangs up."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    async def _post(
        self, what: str, body: dict[str, object], *, patience: float = _PATIENCE
    ) -> None:
        answer = await self._http.post(f"/_sandbox/{what}", json=body, timeout=patience)
        answer.raise_for_status()

    async def close(self) -> None:
        """End it."""
        await self._http.aclose()
        if self.process.returncode is None:
            self.thaw()
            self.process.terminate()
            await self.process.wait()


@asynccontextmanager
async def vendor(folder: Path, environment: dict[str, str], *options: str) -> AsyncIterator[Vendor]:
    """Run a sandbox that records, and that pings its clients all the time."""
    recording = folder / "emitted.jsonl"
    with (folder / "sandbox.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(*POSITIONSTORE, "sandbox", "--json", f"--record={recording}"),
            *("--partners=1", "--api-key-lists", "--ping-interval=0.2", "--ping-timeout=5"),
            "--recovery",
            *options,
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), _PATIENCE)
        made = Vendor(process, json.loads(line), recording)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    try:
        yield made
    finally:
        await made.close()
