"""A real Prometheus, configured as docs/operations.md says, scrapes a real process."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.ports import free_port
from support.programs import Programs
from support.shown import Shown, needs_prometheus
from support.waiting import DEADLINE

from positionstore.sandbox import Options, Sandbox

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
TOKEN = "a-token-that-nobody-guesses"


def configured(address: str) -> str:
    """The page's configuration, with another address, and hurried."""
    (example,) = re.findall(r"```yaml\n(scrape_configs:\n.*?)```", PAGE, re.DOTALL)
    assert isinstance(example, str)
    assert "127.0.0.1:9464" in example
    return example.replace("127.0.0.1:9464", address).replace("15s", "200ms")


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/query"

    async def value(self, query: str) -> float | None:
        """The one value of a query; None where it has none, or the server is not there yet."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE)) as client,
                client.get(self._url, params={"query": query}) as answer,
            ):
                if answer.status != 200:
                    return None
                result: list[dict[str, Any]] = (await answer.json())["data"]["result"]
        except aiohttp.ClientConnectionError:
            return None
        return float(result[0]["value"][1]) if result else None

    async def wait_for(self, query: str) -> float:
        async with asyncio.timeout(DEADLINE):
            while (value := await self.value(query)) is None:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.2)
        return value


@asynccontextmanager
async def prometheus(folder: Path, configuration: str) -> AsyncIterator[Prometheus]:
    port = free_port()
    (folder / "prometheus.yml").write_text(configuration, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Prometheus(port)
    finally:
        process.kill()
        await process.wait()


@needs_prometheus
@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.slow
async def test_prometheus_scrapes_what_the_page_tells_it_to(
    token: str, programs: Programs, tmp_path: Path
) -> None:
    async with Sandbox(Options(seed=7, positions=40, rate=50.0)) as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("ingest", POSITIONSTORE_LISTEN_TOKEN=token))
        configuration = configured(await shown.address())
        if token:
            (tmp_path / "token").write_text(token, encoding="utf-8")
            configuration += f"    authorization: {{credentials_file: {tmp_path / 'token'}}}\n"
        async with prometheus(tmp_path, configuration) as server:
            assert await server.wait_for('up{job="positionstore"} == 1') == 1
            assert await server.wait_for("positionstore_gateway_connected == 1") == 1
            assert await server.wait_for("rate(positionstore_events_received_total[1m]) > 0") > 0
            quantile = "histogram_quantile(0.95, positionstore_commit_delay_seconds_bucket)"
            assert await server.wait_for(f"{quantile} > 0") > 0
        await shown.stopped()
