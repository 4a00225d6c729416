"""The ingester: everything from the handshake to the log, put together."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Final

import structlog

from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.gateway import Connection
from positionstore.dimes.redaction import redacted
from positionstore.errors import DatabaseUnavailableError
from positionstore.facts import Source
from positionstore.ingester.inbox import Inbox
from positionstore.ingester.presence import Presence
from positionstore.ingester.recorder import Recorder
from positionstore.ingester.supervisor import OnConnected, Supervisor
from positionstore.ingester.writer import AT_ONCE, Writer
from positionstore.settings import Settings
from positionstore.store import identity
from positionstore.store.database import Store

_log = structlog.get_logger(__name__)

TIME_TO_WRITE: Final = 7.0
"""Seconds in which a stopping ingester leaves the gateway and writes what is in the inbox."""


class Ingester:
    """Writes what a gateway sends into the store.

    Nothing is sent before the key, the host and the store are known to belong to one
    environment.

    Args:
        settings: whom to connect to, and as whom.
        store: where to write; its schema is at head.
        gateway: ``Source.PARTNER`` or ``Source.CUSTOMER``.
        on_connected: called, in the event loop, after each (re)connection and at the start, when
            the stream is attached: live first, snapshot second.

    Raises:
        ConfigurationError: a setting is missing, or does not fit the store.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        gateway: Source,
        *,
        on_connected: Sequence[OnConnected] = (),
    ) -> None:
        self._gateway = gateway
        credentials = credentials_for(settings, gateway)
        with store.connect() as connection:
            identity.claim(connection, settings.environment)
        self._inbox = Inbox()
        self._presence = Presence(self._inbox.wake)
        recorder = Recorder(
            store,
            batch_size=settings.batch_size,
            heartbeat_every=settings.heartbeat_every,
            monotonic=time.monotonic,
        )
        self._writer = Writer(
            self._inbox,
            recorder,
            self._presence,
            source=gateway,
            at_once=min(AT_ONCE, settings.batch_size),
            heartbeat_every=settings.heartbeat_every,
        )
        self._supervisor = Supervisor(
            gateway,
            settings.base_url,
            credentials,
            connect=self._connection,
            attendance=self._presence,
            on_connected=on_connected,
            cap=settings.reconnect_cap,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Ingest until ``stop`` is set; then write what has arrived, and end the session.

        Raises:
            CredentialsError: the gateway or the API refuses the credentials.
            DatabaseUnavailableError: on stopping, what has arrived could not be written.
        """
        failure: list[BaseException] = []

        def write() -> None:
            try:
                self._writer.run()
            except BaseException as error:  # noqa: BLE001 - told to whoever waits, below
                failure.append(error)
            finally:
                loop.call_soon_threadsafe(written.set)

        loop, written = asyncio.get_running_loop(), asyncio.Event()
        # A daemon, so that a second signal need not wait for a statement to come back.
        threading.Thread(target=write, name="writer", daemon=True).start()
        tasks = [
            asyncio.ensure_future(awaitable)
            for awaitable in (self._supervisor.run(), stop.wait(), written.wait())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline = loop.time() + TIME_TO_WRITE
            for task in tasks:
                task.cancel()
            outcome, *_ = await asyncio.gather(*tasks, return_exceptions=True)
            self._presence.all_ended("stopped")
            self._inbox.close()
            await self._finish_writing(written, deadline)
        for error in (*failure, outcome):
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error
        if self._writer.unwritten:
            raise DatabaseUnavailableError(
                f"{self._writer.unwritten} events that had arrived could not be written in time.",
                remedy="Check the database; the next reconciliation repairs what is missing.",
            )

    async def _finish_writing(self, written: asyncio.Event, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await written.wait()
        except TimeoutError:
            self._writer.give_up()
            _log.error("inbox_not_written", unwritten=self._writer.unwritten)

    def _connection(self) -> Connection:
        return Connection(self._gateway, deliver=self._inbox.put, on_error=self._on_error)

    def _on_error(self, words: str) -> None:
        _log.warning("gateway_error", gateway=self._gateway, said=redacted(words))
