"""The ingester's hold on the database: batches into the log, sessions into their table."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import datetime

import psycopg

from positionstore.dimes.recovery import Recovered, RecoverySession
from positionstore.ingest.endings import Ending
from positionstore.ingest.meter import Meter
from positionstore.ingest.presence import Proof
from positionstore.model.facts import Received
from positionstore.settings import Environment
from positionstore.store import identity, migrations
from positionstore.store.appender import Appended
from positionstore.store.batch_writer import BatchWriter
from positionstore.store.database import Store
from positionstore.store.sessions import StreamSession


class Recorder:
    """Writes over connections of its own, which it opens when they are needed.

    What it takes it keeps until it is committed, or until it is told to :meth:`forget`. After an
    error it begins anew, over new connections, with all that it keeps; nothing that was handed over
    twice ends up in the log twice. Not for two threads at once, but for :meth:`cut`.

    Args:
        store: where to write.
        batch_size: how many events make a transaction that waits no longer. While it is
            committed, as many again are staged at most.
        heartbeat_every: how often the last proof of life of a session is recorded, seconds.
        monotonic: a clock for that, seconds.
        environment: whose data the store has to hold; None where that is known already.
        patience: how long a statement may take, seconds; for a lock it waits half of that.
        committed: told of each transaction, how many inputs it brought.
        safe: handed the recovery session of a connection whose proof of life was recorded, and
            all of whose events up to then are committed.
        meter: counts what is committed.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch_size: int,
        heartbeat_every: float,
        monotonic: Callable[[], float],
        environment: Environment | None = None,
        patience: float = 120.0,
        committed: Callable[[int], None] = lambda _: None,
        safe: Callable[[RecoverySession], None] = lambda _: None,
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._environment = environment
        self._patience = patience
        self._on_committed = committed
        self._on_safe = safe
        self._meter = meter or Meter()
        self._connections: list[psycopg.Connection] = []
        self._heartbeat_every = heartbeat_every
        self._monotonic = monotonic
        self._writing = BatchWriter(
            self._connect, batch_size=lambda: batch_size, committed=self._committed
        )
        self._session_connection: psycopg.Connection | None = None
        self._session_ids: dict[int, int] = {}
        self._heartbeats: dict[int, float] = {}
        self._recoveries: dict[int, Recovered] = {}
        self._uncounted = _Count()

    @property
    def pending(self) -> int:
        """How many inputs were taken and are not committed yet."""
        return self._writing.pending

    def take(self, batch: Sequence[Received]) -> None:
        """Take responsibility for a batch. This never fails, and writes nothing yet."""
        self._writing.take(batch)
        self._meter.take(batch)

    def write(self, *, everything: bool) -> None:
        """Do as :meth:`~positionstore.store.batch_writer.BatchWriter.write`; raise what it raises.

        After that the sessions' connection is let go of, too.
        """
        try:
            self._writing.write(everything=everything)
        except Exception:
            self.drop()
            raise

    def _committed(self, result: Appended) -> None:
        self._meter.count_committed(result)
        self._uncounted.add(result)
        self._on_committed(result.received)

    def record(self, proofs: Sequence[Proof], *, written_up_to: datetime | None) -> list[Proof]:
        """Bring the session rows up to date where that is due.

        Args:
            proofs: what is certain of each connection.
            written_up_to: where not all that came is written yet, the time up to which it is:
                a row never vouches for an event that is still in memory.

        Returns:
            The proofs of connections whose end is on record now.

        Raises:
            psycopg.Error: the database cannot be used just now.
            DatabaseUnavailableError: the same.
        """
        try:
            return [proof for proof in proofs if self._record(proof, written_up_to)]
        except psycopg.Error:
            self.drop()
            raise

    def _record(self, proof: Proof, written_up_to: datetime | None) -> bool:
        number = proof.number
        now = self._monotonic()
        if number not in self._session_ids:
            begun = StreamSession.begin(self._keeping(), gateway=proof.gateway, at=proof.started_at)
            self._session_ids[number] = begun.session_id
            self._heartbeats[number] = now
        self._record_recovery(proof, written_up_to)
        ended = proof.end_reason is not None and (
            written_up_to is None or written_up_to >= proof.last_packet_at
        )
        if not ended and now - self._heartbeats[number] < self._heartbeat_every:
            return False
        # The row outlives the connection that it was written over.
        session = StreamSession(self._session_ids[number], self._keeping())
        if number == max(self._session_ids):
            self._uncounted.move_to(session)
        if ended:
            session.end(proof.last_packet_at, proof.end_reason or "")
            self._keep_session(proof, written_up_to)
            del self._session_ids[number], self._heartbeats[number]
            self._recoveries.pop(number, None)
            return True
        seen = proof.last_packet_at
        session.prove_alive(seen if written_up_to is None else min(seen, written_up_to))
        self._heartbeats[number] = now
        self._keep_session(proof, written_up_to)
        return False

    def _keep_session(self, proof: Proof, written_up_to: datetime | None) -> None:
        # After its row: a process that dies in between leaves a session that reaches back further.
        if proof.session is not None and written_up_to is None:
            self._on_safe(proof.session)

    def _record_recovery(self, proof: Proof, written_up_to: datetime | None) -> None:
        recovered, known = proof.recovered, self._recoveries.get(proof.number)
        if recovered is None or recovered == known:
            return
        if written_up_to is None or written_up_to >= recovered.until:
            session = StreamSession(self._session_ids[proof.number], self._keeping())
            session.recovered(since=recovered.since, until=recovered.until, events=recovered.events)
            self._recoveries[proof.number] = recovered

    def endings(self, proofs: Sequence[Proof]) -> list[Ending]:
        """Return what is still to be recorded of connections that have ended."""
        return [
            Ending(
                self._session_ids.get(proof.number),
                proof.gateway,
                proof.started_at,
                proof.last_packet_at,
                proof.end_reason,
            )
            for proof in proofs
            if proof.end_reason is not None
        ]

    def end(self, endings: Sequence[Ending]) -> None:
        """Record how connections of a process that is gone have ended; once more does no harm.

        Raises:
            psycopg.Error: the database cannot be used just now.
            DatabaseUnavailableError: the same.
        """
        try:
            for each in endings:
                session = self._session_of(each)
                session.end(each.last_packet_at, each.reason)
        except psycopg.Error:
            self.drop()
            raise

    def _session_of(self, ending: Ending) -> StreamSession:
        if ending.session_id is not None:
            return StreamSession(ending.session_id, self._keeping())
        return StreamSession.begin(
            self._keeping(), gateway=ending.gateway, at=ending.started_at, once=True
        )

    def drop(self) -> None:
        """Let go of the database; what is not committed is kept."""
        # All of it: where one connection is lost, so are the others, and nobody need find out.
        self._writing.drop()
        if self._session_connection is not None:
            with suppress(psycopg.Error):
                self._session_connection.close()
        self._session_connection = None

    def _keeping(self) -> psycopg.Connection:
        if self._session_connection is None:
            self._session_connection = self._connect()
        return self._session_connection

    def forget(self) -> None:
        """Let go of the database, and of what is not committed: somebody else keeps it."""
        self.drop()
        self._writing.forget()
        self._meter.forget()

    def cut(self) -> None:
        """Break off whatever the database is being waited for; in any thread."""
        for connection in tuple(self._connections):
            with (
                suppress(psycopg.Error, OSError),
                closing(socket.socket(fileno=os.dup(connection.fileno()))) as link,
            ):
                link.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> psycopg.Connection:
        """Connect, and see that it is still the store that it was: it may have failed over."""
        connection = self._store.connect()
        self._connections = [c for c in self._connections if not c.closed]
        self._connections.append(connection)
        try:
            for setting, seconds in (
                ("statement_timeout", self._patience),
                ("lock_timeout", self._patience / 2),
            ):
                connection.execute(
                    "SELECT set_config(%s, %s, false)", [setting, f"{seconds * 1000:.0f}ms"]
                )
            migrations.check(connection)
            if self._environment is not None:
                identity.claim(connection, self._environment)
        except BaseException:
            connection.close()
            raise
        return connection


class _Count:
    """What was appended and is in no session's row yet; the youngest session gets it."""

    def __init__(self) -> None:
        self._received = self._duplicates = self._quarantined = 0

    def add(self, appended: Appended) -> None:
        self._received += appended.received
        self._duplicates += appended.duplicates
        self._quarantined += appended.quarantined

    def move_to(self, session: StreamSession) -> None:
        if self._received:
            session.count(
                received=self._received,
                duplicates=self._duplicates,
                quarantined=self._quarantined,
            )
            self._received = self._duplicates = self._quarantined = 0
