"""A stage for outages of the database: a sandbox, a store behind a proxy, real processes."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from positionstore.ingest.spools import Spools
from positionstore.sandbox import Options, Sandbox
from support.fork_server import Process
from support.programs import Programs, ended, programs_on
from support.proxy import Proxy
from support.waiting import DEADLINE, eventually


class Scene:
    """A sandbox, a store behind a proxy, and programs that reach it by the proxy alone."""

    def __init__(self, url: str, proxy: Proxy | None, serving: Sandbox, programs: Programs) -> None:
        self.url = url
        self._proxy = proxy
        self.serving = serving
        self.programs = programs
        self.spools = Spools(programs.folder / "data", max_bytes=0)

    @property
    def proxy(self) -> Proxy:
        assert self._proxy is not None
        return self._proxy

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    @property
    def sent(self) -> list[bytes]:
        return [bytes(record.envelope) for record in self.serving.records if record.recipients]

    @property
    def logged(self) -> list[bytes]:
        streamed = "SELECT envelope::text FROM events WHERE source <> 'rest' ORDER BY seq"
        return [text.encode() for (text,) in self.rows(streamed)]

    async def all_logged(self) -> None:
        await eventually(lambda: len(self.logged) >= len(self.sent))
        assert self.logged == self.sent, "each once, in the order of arrival"

    async def spooled(self, events: int) -> None:
        await eventually(lambda: self.spools.totals().events >= events)

    async def start(self, command: str = "ingest", **environment: str) -> Process:
        clients = self.serving.stats()["clients"]
        process = await self.programs.start(command, **environment)
        await self.serving.wait_for_clients(int(clients) + 1, within=DEADLINE)
        return process

    async def start_and_lose_the_database(self) -> Process:
        """Start an ingester, let it write something, then stop the way to the database."""
        process = await self.start()
        await self.serving.step(20)
        await self.all_logged()
        # Its session is recorded over a connection of its own, maybe later than the events.
        await eventually(lambda: self.rows("SELECT FROM stream_sessions LIMIT 1") != [])
        self.proxy.stop()
        return process

    async def kill(self, process: Process) -> None:
        process.kill()
        await process.wait()
        await self.serving.wait_for_clients(0, within=DEADLINE)

    async def stop(self, process: Process) -> list[str]:
        process.send_signal(signal.SIGTERM)
        done = await ended(process)
        assert done.code == 0, done
        return done.actions


@asynccontextmanager
async def scene_of(store_url: str, proxy: Proxy | None, folder: Path) -> AsyncIterator[Scene]:
    """Set one, in a folder; nothing is started yet. Without a proxy programs go straight."""
    async with (
        Sandbox(Options(seed=7, ticking=False)) as serving,
        programs_on(proxy.of(store_url) if proxy else store_url, folder) as programs,
    ):
        programs.against(serving)
        programs.environment["POSITIONSTORE_DATABASE_PATIENCE"] = "2"
        yield Scene(store_url, proxy, serving, programs)
