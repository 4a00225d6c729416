"""A PostgreSQL server of its own, which is killed, stopped, slowed down and started again."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from positionstore.embedded import server as embedded
from positionstore.embedded.os_user import account_for
from positionstore.embedded.postmaster import find_postmaster, survivors
from positionstore.store import migrations

_SETTINGS = {
    "shared_buffers": "32MB",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "autovacuum_naptime": "5s",
}


def _silent(_: str) -> None:
    """A test does not wait."""


class Database:
    """The server of a data directory.

    Attributes:
        data_dir: where everything of it is.
        port: where it listens now.
    """

    def __init__(self, data_dir: Path, server: embedded.EmbeddedServer) -> None:
        self.data_dir = data_dir
        self._server = server
        self._cluster = data_dir / "postgres" / "cluster"
        self._account = account_for(self._cluster, data_dir)

    @property
    def port(self) -> int:
        """Where it listens now."""
        return self._server.port

    @property
    def url(self) -> str:
        """The store's URL."""
        return self._server.url()

    @property
    def logs(self) -> Path:
        """Where it writes its log."""
        return self._cluster / "log"

    def url_by(self, port: int) -> str:
        """Return the store's URL by way of another port."""
        return self.url.replace(f":{self.port}/", f":{port}/")

    def kill(self) -> None:
        """Kill every process of it."""
        self._signal(signal.SIGKILL, survivors(self._cluster, self._account))

    def stop_at_once(self) -> None:
        """Stop it in the mode *immediate*: it writes nothing any more."""
        self._signal(signal.SIGQUIT, self._head())

    def shut_down(self) -> None:
        """Stop it in the mode *fast*: it ends all sessions, and writes what is left."""
        self._signal(signal.SIGINT, self._head())

    def stall(self) -> None:
        """Stop every process of it where it stands."""
        self._signal(signal.SIGSTOP, survivors(self._cluster, self._account))

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT, survivors(self._cluster, self._account))

    async def flush_slowly(self, microseconds: int) -> None:
        """Let every commit wait before it is flushed; 0 for not at all."""
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as it:
                for name, value in (("commit_siblings", 0), ("commit_delay", microseconds)):
                    await it.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
                await it.execute("SELECT pg_reload_conf()")

    async def ensure(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        before = self._server
        self._server = await asyncio.to_thread(_start, self.data_dir)
        await asyncio.to_thread(embedded.release, before, say=_silent)

    def _head(self) -> list[int]:
        head = find_postmaster(self._cluster, self._account)
        return [] if head is None else [head.pid]

    def _signal(self, number: signal.Signals, pids: Iterable[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def close(self) -> None:
        """Stop it for good."""
        self.resume()
        await asyncio.to_thread(embedded.release, self._server, say=_silent)


def _start(data_dir: Path) -> embedded.EmbeddedServer:
    return embedded.ensure_running(data_dir, say=_silent, settings=_SETTINGS)


@asynccontextmanager
async def database(data_dir: Path) -> AsyncIterator[Database]:
    """Run a server with a store in it."""
    server = await asyncio.to_thread(_start, data_dir)
    made = Database(data_dir, server)
    try:
        await asyncio.to_thread(migrations.migrate, made.url)
        yield made
    finally:
        await made.close()
