"""What a process of ours shows by HTTP, and the programs that look at it."""

import asyncio
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.fork_server import Process
from support.programs import Done
from support.waiting import DEADLINE

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (Debian's package prometheus)"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no Prometheus (Debian's package prometheus)"
)


Samples = dict[str, dict[tuple[str, ...], float]]


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Shown:
    """A process that logs JSON and listens on a port of its own choice.

    Its log is read meanwhile, so that it never waits for us.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._log = b""
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self._log += line
            self.lines.append(json.loads(line))
            if self.lines[-1]["action"] == "listening" and not self._address.done():
                self._address.set_result(self.lines[-1]["address"])

    async def address(self) -> str:
        return await asyncio.wait_for(asyncio.shield(self._address), DEADLINE)

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        url = f"http://{await self.address()}{path}"
        timeout = aiohttp.ClientTimeout(DEADLINE)
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.request(method, url, headers=headers) as answer,
        ):
            return Answer(answer.status, await answer.text(), dict(answer.headers))

    async def metrics(self) -> Samples:
        """The samples by name, each by the values of its labels."""
        answer = await self.get("/metrics")
        assert answer.status == 200
        return samples(answer.text)

    async def wait_for(self, **wanted: float) -> Samples:
        """Wait until metrics (named without the prefix) are there and at least so much, in sum."""
        async with asyncio.timeout(DEADLINE):
            while True:
                found = await self.metrics()
                there = all(f"positionstore_{name}" in found for name in wanted)
                if there and all(total(found, name) >= value for name, value in wanted.items()):
                    return found
                await asyncio.sleep(0.1)

    async def ready(self) -> None:
        """Wait until it says that it is ready."""
        async with asyncio.timeout(DEADLINE):
            while (await self.get("/readyz")).status != 200:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.1)

    async def stopped(self) -> Done:
        if self.process.returncode is None:
            self.process.terminate()
        code = await asyncio.wait_for(self.process.wait(), DEADLINE)
        await self._reading
        return Done(code, "", self._log.decode())


def samples(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def total(found: Samples, name: str) -> float:
    return sum(found.get(f"positionstore_{name}", {}).values())


def checked(text: str) -> subprocess.CompletedProcess[str]:
    """What ``promtool check metrics`` says."""
    return subprocess.run(
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
