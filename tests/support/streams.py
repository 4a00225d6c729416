"""Supervised connections without a database behind them, for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.gateway import NAMESPACES, Connection, SocketOptions
from positionstore.dimes.packets import Unpacker
from positionstore.dimes.recovery import Recovered
from positionstore.ingest.supervisor import Supervisor
from positionstore.model.facts import Event, Rejected, Source
from positionstore.settings import Settings, load_settings
from support.waiting import DEADLINE, eventually


class Stream:
    """What a supervised connection delivered and did."""

    def __init__(self, settings: Settings, gateway: Source) -> None:
        self.gateway = gateway
        self._options = SocketOptions.of(settings)
        self.packets: list[str | Rejected] = []
        self.errors: list[str] = []
        self.made: list[Connection] = []
        self.began_: list[Connection] = []
        self.ended_: list[tuple[Connection, str]] = []
        self.recovered_: list[tuple[Connection, Recovered]] = []
        self.hooks = 0
        self.attempts = 0
        self.supervisor = Supervisor(
            gateway,
            settings.base_url,
            credentials_for(settings, gateway),
            connect=self._connection,
            listener=self,
            on_connected=[self._hook],
            cap=settings.reconnect_cap,
        )

    def _connection(self) -> Connection:
        self.attempts += 1
        connection = Connection(
            self.gateway,
            deliver=self._deliver,
            on_error=self.errors.append,
            options=self._options,
        )
        self.made.append(connection)
        return connection

    def _deliver(self, packet: str | Rejected, _: datetime) -> None:
        self.packets.append(packet)

    def _hook(self) -> None:
        self.hooks += 1

    def began(self, connection: Connection) -> None:
        self.began_.append(connection)

    def ended(self, connection: Connection, reason: str) -> None:
        self.ended_.append((connection, reason))

    def recovered(self, connection: Connection, recovered: Recovered) -> None:
        self.recovered_.append((connection, recovered))

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason in self.ended_]

    @property
    def events(self) -> list[Event]:
        unpack = Unpacker(NAMESPACES[self.gateway]).unpack
        found = [unpack(packet.encode()) for packet in self.packets if isinstance(packet, str)]
        assert all(isinstance(what, Event) for what in found)
        return [what for what in found if isinstance(what, Event)]

    async def connected(self, times: int = 1) -> None:
        await eventually(lambda: len(self.began_) >= times)


def settings_for(url: str, **values: object) -> Settings:
    """Settings that point to a local server and come back quickly."""
    return load_settings(base_url_setting=url, reconnect_cap=0.05, **values)


@asynccontextmanager
async def supervised(settings: Settings, gateway: Source) -> AsyncIterator[Stream]:
    """Run a supervisor; afterwards stop it and see that it ended well."""
    stream = Stream(settings, gateway)
    task = asyncio.ensure_future(stream.supervisor.run())
    try:
        yield stream
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError), outcome


async def failing(settings: Settings, gateway: Source) -> BaseException:
    """Run a supervisor that is expected to give up, and return why it did."""
    stream = Stream(settings, gateway)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the caller looks at it
        await asyncio.wait_for(stream.supervisor.run(), DEADLINE)
    return caught.value
