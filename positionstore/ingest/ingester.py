"""The ingester: everything from the handshake to the log, put together."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Final

from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.gateway import Connection, SocketOptions, utc_now
from positionstore.dimes.recovery import RecoverySession, Replay
from positionstore.errors import DatabaseUnavailableError, SpoolError
from positionstore.ingest.backpressure import Backpressure
from positionstore.ingest.buffer import EventBuffer
from positionstore.ingest.connections import ConnectionTracker
from positionstore.ingest.decoding import PacketDecoder
from positionstore.ingest.durability import DurabilityBarrier
from positionstore.ingest.flusher import Flusher
from positionstore.ingest.log_throttle import CountedLines
from positionstore.ingest.meter import Meter, Standing
from positionstore.ingest.session_file import SessionFile
from positionstore.ingest.spool import DamagedSpoolError
from positionstore.ingest.spools import Spools, tell_damage
from positionstore.ingest.store_writer import StoreWriter
from positionstore.ingest.supervisor import OnConnected, Supervisor
from positionstore.ingest.worker import Worker
from positionstore.log import get_logger
from positionstore.model.facts import Rejected, Source
from positionstore.redaction import redacted
from positionstore.settings import Settings
from positionstore.store import identity, known
from positionstore.store.database import Store

_log = get_logger(__name__)

TIME_TO_WRITE: Final = 7.0
"""Seconds in which a stopping ingester leaves the gateway and writes what is in the buffer."""


class Ingester:
    """Writes what a gateway sends into the store.

    Nothing is sent before the key, the host and the store are known to belong to one
    environment. Where the database is away, the data directory may know the store from before:
    what comes is spooled then, and the store is asked before anything is written to it.

    All of it happens in one event loop: the supervisor's connection puts into the buffer and never
    waits, the flusher takes from there, a third task spills to the disk what must be there. Two
    threads do what waits, one for the database and one for the disk.

    Args:
        settings: whom to connect to, and as whom.
        store: where to write; its schema is at head.
        gateway: ``Source.PARTNER`` or ``Source.CUSTOMER``.
        on_connected: called, in the event loop, after each (re)connection and at the start, when
            the stream is attached: live first, snapshot second.
        clock: tells the time, UTC.
        meter: counts what happens.

    Raises:
        ConfigurationError: a setting is missing, or does not fit the store.
        DatabaseUnavailableError: the database is away, and nothing is known of the store.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        gateway: Source,
        *,
        on_connected: Sequence[OnConnected] = (),
        clock: Callable[[], datetime] = utc_now,
        meter: Meter | None = None,
    ) -> None:
        self._gateway = gateway
        self._meter = meter or Meter()
        self._socket_options = SocketOptions.of(settings)
        self._clock = clock
        credentials = credentials_for(settings, gateway)
        _claim(store, settings)
        self._environment = settings.environment
        self._settings = settings
        self._store = store
        self._spools = Spools(settings.store_dir, max_bytes=settings.spool_max_bytes)
        self._durable = settings.durability == "spool"
        self._barrier: DurabilityBarrier | None = None
        self._errors = CountedLines(self._say_errors)
        self._tracker = ConnectionTracker(self._wake)
        self._backpressure = Backpressure()
        self._buffer: EventBuffer | None = None
        self._session_file = SessionFile(
            settings.store_dir, gateway=gateway, base_url=settings.base_url
        )
        missed = self._session_file.take_over(clock())
        self._replay = Replay(of_all=missed is None or missed.replays_all)
        self._supervisor = Supervisor(
            gateway,
            settings.base_url,
            credentials,
            connect=self._connection,
            listener=self._tracker,
            on_connected=on_connected,
            missed=missed,
            backpressure=self._backpressure,
            cap=settings.reconnect_cap,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Ingest until ``stop`` is set; then write what has arrived, and end the session.

        What the database does not take then stays in the spool, for the next start.

        Raises:
            CredentialsError: the gateway or the API refuses the credentials.
            ConfigurationError: the database refuses for good, or no spool can be made.
            SpoolError: the spool is damaged; it was set aside, and another start goes on.
            DatabaseUnavailableError: on stopping, what has arrived could be kept nowhere.
        """
        self._spool = self._spools.own(self._environment)
        self._database, self._disk = Worker("database"), Worker("disk")
        if self._durable:
            self._barrier = DurabilityBarrier(self._settings.batch_size)
        buffer = self._buffer = self._new_buffer()
        self._writer = self._new_writer()
        self._meter.standing = self._standing
        flushing = asyncio.ensure_future(self._new_flusher(buffer).run())
        spilling = asyncio.ensure_future(buffer.keep_spilling())
        connecting = asyncio.ensure_future(self._supervisor.run())
        stopping = asyncio.ensure_future(stop.wait())
        tasks = (spilling, flushing, connecting, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline = asyncio.get_running_loop().time() + TIME_TO_WRITE
            for task in (connecting, stopping):
                task.cancel()
            await asyncio.gather(connecting, stopping, return_exceptions=True)
            self._errors.flush()
            self._tracker.all_ended("stopped")
            buffer.close()
            await self._finish(buffer, flushing, spilling, deadline)
            self._session_file.close()
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if lost := buffer.volatile_count:
            raise DatabaseUnavailableError(
                f"{lost} events that had arrived could not be written in time, nor kept on disk.",
                remedy="Check the database; the next reconciliation repairs what is missing.",
            )

    async def _finish(
        self,
        buffer: EventBuffer,
        flushing: asyncio.Future[None],
        spilling: asyncio.Future[None],
        deadline: float,
    ) -> None:
        """Let the flusher come to its end; what is not in the database then is in the spool."""
        seconds = max(0.0, deadline - asyncio.get_running_loop().time())
        await asyncio.wait({flushing}, timeout=seconds)
        # The thread is left alone with what it waits for; the process may end meanwhile.
        self._writer.abandon()
        self._drainer.abandon()
        for task in (flushing, spilling):
            task.cancel()
        await asyncio.gather(flushing, spilling, return_exceptions=True)
        try:
            await self._leave_spool(buffer)
        finally:
            self._database.close()
            self._disk.close()

    async def _leave_spool(self, buffer: EventBuffer) -> None:
        whole = True
        buffer.requeue()
        try:
            await buffer.spill()
        except DamagedSpoolError as error:
            whole = False
            tell_damage(error, await self._disk.run(self._spool.set_aside))
            self._spool = self._spools.own(self._environment)
            buffer.renew(self._spool)
            await buffer.spill()
        # Where something was kept nowhere, no session may vouch for the time of it.
        whole = whole and not buffer.volatile_count
        closed = self._writer.closed_sessions(self._tracker.liveness()) if whole else []
        if not (buffer.pending or closed):
            await self._disk.run(self._spool.remove)
            return
        with suppress(SpoolError):  # that time is a gap then
            await self._disk.run(self._spool.save_closed_sessions, closed)
        _log.warning("left_in_spool", events=buffer.pending, sessions=len(closed))
        await self._disk.run(self._spool.close)

    def _new_buffer(self) -> EventBuffer:
        barrier = self._barrier
        return EventBuffer(
            self._spool,
            self._disk,
            PacketDecoder(self._gateway, self._meter).decode,
            max_bytes=self._settings.spool_max_bytes,
            at_most=self._settings.batch_size,
            durable=self._durable,
            on_safe=(lambda _: None) if barrier is None else barrier.safe,
            on_room=lambda has_room: self._backpressure.update(has_room=has_room),
        )

    def _new_flusher(self, buffer: EventBuffer) -> Flusher:
        self._drainer = self._new_writer()
        return Flusher(
            buffer,
            self._writer,
            self._drainer,
            self._tracker,
            database=self._database,
            disk=self._disk,
            adopt_orphans=partial(self._spools.adopt_orphans, self._environment),
            keep_session=self._keep_session,
            heartbeat_every=self._settings.heartbeat_every,
            meter=self._meter,
        )

    def _new_writer(self) -> StoreWriter:
        return StoreWriter(
            self._store,
            batch_size=self._settings.batch_size,
            heartbeat_every=self._settings.heartbeat_every,
            environment=self._environment,
            patience=self._settings.database_patience,
        )

    def _keep_session(self, session: RecoverySession) -> None:
        self._session_file.save(session, self._clock())

    def _standing(self) -> Standing:
        """Tell how this one stands; in any thread, and without waiting for the disk."""
        buffer = self._buffer
        if buffer is None:
            return Standing()
        spooled = buffer.spooled
        return Standing(
            connected=self._tracker.is_connected,
            connections=self._tracker.count,
            recovered=self._tracker.recovered_events,
            last_packet_at=self._tracker.last_packet_at,
            in_memory=max(0, buffer.pending - spooled),
            spooled=spooled,
            spool_bytes=self._spool.bytes,
            has_room=buffer.has_room,
        )

    def _wake(self) -> None:
        if self._buffer is not None:
            self._buffer.wake()

    def _connection(self) -> Connection:
        if self._buffer is None:
            raise RuntimeError("a connection before there is a buffer")
        barrier = self._barrier
        return Connection(
            self._gateway,
            deliver=self._buffer.put if barrier is None else self._put_and_count,
            on_error=self._errors.note,
            taken=None if barrier is None else barrier.room,
            before_ping=None if barrier is None else barrier.before_ping,
            options=self._socket_options,
            replay=self._replay,
            clock=self._clock,
        )

    def _put_and_count(self, packet: str | Rejected, received_at: datetime) -> None:
        if self._barrier is not None and self._buffer is not None:
            self._barrier.read()
            self._buffer.put(packet, received_at)

    def _say_errors(self, words: str, times: int) -> None:
        _log.warning("gateway_error", gateway=self._gateway, said=redacted(words), times=times)


def _claim(store: Store, settings: Settings) -> None:
    """See that the store holds this environment's data, or did when it was last asked."""
    environment = settings.environment
    where = None if store.embedded else store.url
    try:
        with store.connect() as connection:
            identity.claim(connection, environment)
    except DatabaseUnavailableError as error:
        if known.environment_of(settings.store_dir, where) is not environment:
            raise
        _log.warning("started_without_database", error=redacted(str(error)))
    else:
        known.remember(settings.store_dir, where, environment)
