"""The ingester: everything from the handshake to the log, put together."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.gateway import Connection, SocketOptions, utc_now
from positionstore.dimes.recovery import RecoverySession
from positionstore.errors import DatabaseUnavailableError, SpoolError
from positionstore.ingest.backlog import Backlog
from positionstore.ingest.courier import Courier
from positionstore.ingest.durability import DurabilityBarrier
from positionstore.ingest.gate import Gate
from positionstore.ingest.inbox import Inbox
from positionstore.ingest.meter import Meter, Standing
from positionstore.ingest.presence import Presence
from positionstore.ingest.recorder import Recorder
from positionstore.ingest.session_file import SessionFile
from positionstore.ingest.spool import DamagedSpoolError, Spool
from positionstore.ingest.spools import Spools, tell_damage
from positionstore.ingest.supervisor import OnConnected, Supervisor
from positionstore.ingest.told import Counted
from positionstore.ingest.worker_thread import WorkerThread
from positionstore.ingest.writer import AT_ONCE, GATHERING, Writer
from positionstore.model.facts import Rejected, Source
from positionstore.redaction import redacted
from positionstore.settings import Settings
from positionstore.store import identity, known
from positionstore.store.database import Store

_log = structlog.get_logger(__name__)

TIME_TO_WRITE: Final = 7.0
"""Seconds in which a stopping ingester leaves the gateway and writes what is in the inbox."""


class Ingester:
    """Writes what a gateway sends into the store.

    Nothing is sent before the key, the host and the store are known to belong to one
    environment. Where the database is away, the data directory may know the store from before:
    what comes is spooled then, and the store is asked before anything is written to it.

    Three take part: the connection puts into an inbox and never waits, the writer takes and waits
    for the disk at most, the courier waits for the database.

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
        self._inbox = Inbox()
        self._errors = Counted(self._say_errors)
        self._presence = Presence(self._inbox.wake)
        self._gate = Gate()
        self._session_file = SessionFile(
            settings.store_dir, gateway=gateway, base_url=settings.base_url
        )
        self._supervisor = Supervisor(
            gateway,
            settings.base_url,
            credentials,
            connect=self._connection,
            attendance=self._presence,
            on_connected=on_connected,
            missed=self._session_file.take_over(clock()),
            gate=self._gate,
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
        self._gate.enter_loop()
        self._spool = self._spools.own(self._environment)
        self._backlog = self._new_backlog(self._spool)
        self._courier = self._new_courier()
        if self._durable:
            self._barrier = DurabilityBarrier(self._settings.batch_size)
        writer = self._writer = Writer(
            self._inbox,
            self._backlog,
            self._presence,
            source=self._gateway,
            at_once=min(AT_ONCE, self._settings.batch_size),
            heartbeat_every=self._settings.heartbeat_every,
            gathering=0.0 if self._durable else GATHERING,
            settled=self._settled,
            meter=self._meter,
        )
        self._meter.standing = self._standing
        # Daemons, so that a second signal need not wait for a statement to come back.
        writing = WorkerThread("writer", writer.run)
        carrying = WorkerThread("courier", self._courier.run)
        tasks = [
            asyncio.ensure_future(awaitable)
            for awaitable in (
                self._supervisor.run(),
                stop.wait(),
                writing.ended.wait(),
                carrying.ended.wait(),
            )
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deadline = asyncio.get_running_loop().time() + TIME_TO_WRITE
            for task in tasks:
                task.cancel()
            outcome, *_ = await asyncio.gather(*tasks, return_exceptions=True)
            self._errors.flush()
            self._presence.all_ended("stopped")
            self._inbox.close()
            await self._finish(writing, carrying, deadline)
            self._session_file.close()
        for error in (writing.error, carrying.error, outcome):
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error
        if lost := self._backlog.unkept + writer.in_hand:
            raise DatabaseUnavailableError(
                f"{lost} events that had arrived could not be written in time, nor kept on disk.",
                remedy="Check the database; the next reconciliation repairs what is missing.",
            )

    async def _finish(self, writing: WorkerThread, carrying: WorkerThread, deadline: float) -> None:
        """Let both come to their ends; what is not in the database then is in the spool."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await writing.ended.wait()
                await carrying.ended.wait()
        if not carrying.ended.is_set():
            self._courier.give_up()
        await asyncio.to_thread(self._leave_spool)

    def _leave_spool(self) -> None:
        whole = True
        try:
            self._backlog.failed()
        except DamagedSpoolError as error:
            whole = False
            tell_damage(error, self._spool.set_aside())
            self._spool = self._spools.own(self._environment)
            self._backlog.renew(self._spool)
            self._backlog.failed()
        with self._backlog.at_rest():
            # Where something was kept nowhere, no session may vouch for the time of it.
            whole = whole and not (self._backlog.unkept or self._writer.in_hand)
            ended = self._recorder.endings(self._presence.proofs()) if whole else []
            if self._backlog.pending or ended:
                with suppress(SpoolError):  # that time is a gap then
                    self._spool.testify(ended)
                _log.warning("left_in_spool", events=self._backlog.pending, sessions=len(ended))
                self._spool.close()
            else:
                self._spool.remove()

    def _new_backlog(self, spool: Spool) -> Backlog:
        return Backlog(
            spool,
            max_bytes=self._settings.spool_max_bytes,
            at_most=self._settings.batch_size,
            always=self._durable,
            monotonic=time.monotonic,
        )

    def _new_courier(self) -> Courier:
        self._recorder = self._new_recorder(
            self._backlog.committed, safe=self._keep_session, meter=self._meter
        )
        return Courier(
            self._backlog,
            self._recorder,
            self._new_recorder(lambda _: None),
            self._presence,
            left_behind=lambda: self._spools.left_behind(self._environment),
            heartbeat_every=self._settings.heartbeat_every,
            patience=self._settings.database_patience * 1.25,
            meter=self._meter,
        )

    def _keep_session(self, session: RecoverySession) -> None:
        self._session_file.save(session, self._clock())

    def _new_recorder(
        self,
        committed: Callable[[int], None],
        safe: Callable[[RecoverySession], None] = lambda _: None,
        meter: Meter | None = None,
    ) -> Recorder:
        return Recorder(
            self._store,
            batch_size=self._settings.batch_size,
            heartbeat_every=self._settings.heartbeat_every,
            monotonic=time.monotonic,
            environment=self._environment,
            patience=self._settings.database_patience,
            committed=committed,
            safe=safe,
            meter=meter,
        )

    def _standing(self) -> Standing:
        """Tell how this one stands; in any thread, and without waiting for the disk."""
        spooled = self._backlog.spooled
        return Standing(
            connected=self._presence.is_connected,
            connections=self._presence.count,
            recovered=self._presence.recovered_events,
            last_packet_at=self._presence.last_packet_at,
            in_memory=max(0, self._writer.in_hand + self._backlog.pending - spooled),
            spooled=spooled,
            spool_bytes=self._spool.bytes,
            has_room=self._backlog.has_room,
        )

    def _settled(self, has_room: bool) -> None:
        self._gate.tell(has_room=has_room)
        if self._barrier is not None and has_room:
            self._barrier.flushed(self._writer.handed_over)
        self._courier.look_after()

    def _connection(self) -> Connection:
        barrier = self._barrier
        return Connection(
            self._gateway,
            deliver=self._inbox.put if barrier is None else self._put_and_count,
            on_error=self._errors.note,
            taken=None if barrier is None else barrier.room,
            before_ping=None if barrier is None else barrier.before_ping,
            options=self._socket_options,
            clock=self._clock,
        )

    def _put_and_count(self, packet: str | Rejected, received_at: datetime) -> None:
        if self._barrier is not None:
            self._barrier.read()
        self._inbox.put(packet, received_at)

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
