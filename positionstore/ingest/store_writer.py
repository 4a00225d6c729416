"""The synchronous side of the ingester: batches into the log, sessions into their table."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import psycopg

from positionstore.dimes.recovery import Recovered, RecoverySession
from positionstore.ingest.connections import Liveness
from positionstore.ingest.impatient import ImpatientConnection
from positionstore.ingest.spool import ClosedSession, DamagedSpoolError, Spool
from positionstore.ingest.spools import tell_damage
from positionstore.log import get_logger
from positionstore.model.facts import Received
from positionstore.settings import Environment
from positionstore.store import identity, migrations, session
from positionstore.store.appender import Appended
from positionstore.store.batch_writer import BatchWriter
from positionstore.store.database import Store
from positionstore.store.sessions import StreamSession

_log = get_logger(__name__)

_AT_ONCE: Final = 5_000
_BEYOND: Final = 1.25
"""How much longer than the server itself the answer to a statement is waited for."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of connections.

    Attributes:
        ended: those whose end is on record now.
        safe: the recovery sessions of those all of whose events are committed.
    """

    ended: list[Liveness] = field(default_factory=list)
    safe: list[RecoverySession] = field(default_factory=list)


class StoreWriter:
    """Writes over connections of its own, which it opens when they are needed.

    What it takes it keeps until it is committed, or until :meth:`forget` is called. After an
    error it starts over, with new connections, with all that it keeps; nothing that was handed
    over twice ends up in the log twice. Not for two threads at once, but for :meth:`abandon`.

    Args:
        store: where to write.
        batch_size: how many events make a transaction that waits no longer. While it is
            committed, as many again are staged at most.
        heartbeat_every: how often the last proof of life of a session is recorded, seconds.
        environment: whose data the store has to hold; None where that is known already.
        patience: how long a statement may take, seconds; for a lock it waits half of that.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch_size: int,
        heartbeat_every: float,
        environment: Environment | None = None,
        patience: float = 120.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._environment = environment
        self._patience = patience
        self._heartbeat_every = heartbeat_every
        self._monotonic = monotonic
        self._writing = BatchWriter(
            self._connect, batch_size=lambda: batch_size, committed=self._note_commit
        )
        self._session_connection: psycopg.Connection | None = None
        self._session_ids: dict[int, int] = {}
        self._heartbeats: dict[int, float] = {}
        self._recoveries: dict[int, Recovered] = {}
        self._uncounted = _Count()
        self._committed: list[Appended] = []
        self._abandoned = False

    @property
    def pending(self) -> int:
        """How many inputs were taken and are not committed yet."""
        return self._writing.pending

    def write(self, batch: Sequence[Received], *, everything: bool) -> None:
        """Take responsibility for a batch, and bring it on its way into the log.

        It does as :meth:`~positionstore.store.batch_writer.BatchWriter.write`, and raises what that
        raises. After an error the sessions' connection is let go of, too.
        """
        self._writing.take(batch)
        try:
            self._writing.write(everything=everything)
        except Exception:
            self.drop()
            raise

    def committed(self) -> list[Appended]:
        """Return the transactions that were committed since this was last asked."""
        committed, self._committed = self._committed, []
        return committed

    def is_due(self, liveness: Sequence[Liveness], *, up_to: datetime | None) -> bool:
        """Whether :meth:`record` would write something."""
        return any(self._is_due(each, up_to) for each in liveness)

    def record(self, liveness: Sequence[Liveness], *, up_to: datetime | None) -> Recorded:
        """Bring the session rows up to date where that is due.

        Args:
            liveness: what is certain of each connection.
            up_to: where not all that came is committed yet, the time up to which it is:
                a row never vouches for an event that is still in memory.

        Raises:
            psycopg.Error: the database cannot be used just now.
            DatabaseUnavailableError: the same.
        """
        recorded = Recorded()
        try:
            for each in liveness:
                if self._is_due(each, up_to):
                    self._record(each, up_to, recorded)
        except psycopg.Error:
            self.drop()
            raise
        return recorded

    def closed_sessions(self, liveness: Sequence[Liveness]) -> list[ClosedSession]:
        """Return what is still to be recorded of connections that have ended."""
        return [
            ClosedSession(
                self._session_ids.get(each.number),
                each.gateway,
                each.started_at,
                each.last_packet_at,
                each.end_reason,
            )
            for each in liveness
            if each.end_reason is not None
        ]

    def drain(self, spool: Spool, *, progress: Callable[[int], None] = lambda _: None) -> int:
        """Write what a dead process has left, in its order; return how many inputs that were.

        Then the ends of the connections that it came over are recorded, and the spool is removed.
        A spool that cannot be read to its end is set aside, and said; what was read before is
        written.

        Args:
            spool: used by no other process; it is closed, whatever happens.
            progress: called with how many inputs are written so far.

        Raises:
            psycopg.Error: the database cannot be used; the spool stays, without what was written.
            DatabaseUnavailableError: the same.
        """
        drained = 0
        try:
            first, batch = spool.read(0, _AT_ONCE)
            while batch:
                self.write(batch, everything=True)
                drained += len(batch)
                spool.forget(first + len(batch))
                progress(drained)
                self._stop_if_abandoned()
                first, batch = spool.read(first + len(batch), _AT_ONCE)
            # Last: a session vouches for nothing that is not in the database.
            self._end(spool.closed_sessions())
        except DamagedSpoolError as error:
            tell_damage(error, spool.set_aside())
        except BaseException:
            spool.close()
            raise
        else:
            spool.remove()
            if drained:
                _log.info("spool_drained", spool=spool.folder.name, events=drained)
        return drained

    def drop(self) -> None:
        """Let go of the database; what is not committed is kept."""
        # All of it: where one connection is lost, so are the others.
        self._writing.drop()
        if self._session_connection is not None:
            with suppress(psycopg.Error):
                self._session_connection.close()
        self._session_connection = None

    def forget(self) -> None:
        """Let go of the database, and of what is not committed: the buffer keeps it."""
        self.drop()
        self._writing.forget()

    def abandon(self) -> None:
        """Wait for the database no longer, from a moment on; in any thread."""
        self._abandoned = True

    def _stop_if_abandoned(self) -> None:
        if self._abandoned:
            raise InterruptedError("stopped")

    def _note_commit(self, result: Appended) -> None:
        self._uncounted.add(result)
        self._committed.append(result)

    def _is_due(self, each: Liveness, up_to: datetime | None) -> bool:
        return (
            each.number not in self._session_ids
            or _has_ended(each, up_to)
            or self._has_recovered(each, up_to)
            or self._is_heartbeat_due(each)
        )

    def _is_heartbeat_due(self, each: Liveness) -> bool:
        return self._monotonic() - self._heartbeats[each.number] >= self._heartbeat_every

    def _has_recovered(self, each: Liveness, up_to: datetime | None) -> bool:
        recovered = each.recovered
        return (
            recovered is not None
            and recovered != self._recoveries.get(each.number)
            and (up_to is None or up_to >= recovered.until)
        )

    def _record(self, each: Liveness, up_to: datetime | None, recorded: Recorded) -> None:
        number = each.number
        if number not in self._session_ids:
            begun = StreamSession.begin(self._keeping(), gateway=each.gateway, at=each.started_at)
            self._session_ids[number] = begun.session_id
            self._heartbeats[number] = self._monotonic()
        # The row outlives the connection that it was written over.
        session = StreamSession(self._session_ids[number], self._keeping())
        if each.recovered is not None and self._has_recovered(each, up_to):
            fetched = each.recovered
            session.recovered(since=fetched.since, until=fetched.until, events=fetched.events)
            self._recoveries[number] = fetched
        ended = _has_ended(each, up_to)
        if not ended and not self._is_heartbeat_due(each):
            return
        if number == max(self._session_ids):
            self._uncounted.move_to(session)
        if ended:
            session.end(each.last_packet_at, each.end_reason or "")
            del self._session_ids[number], self._heartbeats[number]
            self._recoveries.pop(number, None)
            recorded.ended.append(each)
        else:
            seen = each.last_packet_at
            session.prove_alive(seen if up_to is None else min(seen, up_to))
            self._heartbeats[number] = self._monotonic()
        # After its row: a process that dies in between leaves a session that reaches back further.
        if each.session is not None and up_to is None:
            recorded.safe.append(each.session)

    def _end(self, closed: Sequence[ClosedSession]) -> None:
        """Record how connections of a process that is gone have ended; once more does no harm."""
        try:
            for each in closed:
                self._session_of(each).end(each.last_packet_at, each.reason)
        except psycopg.Error:
            self.drop()
            raise

    def _session_of(self, closed: ClosedSession) -> StreamSession:
        if closed.session_id is not None:
            return StreamSession(closed.session_id, self._keeping())
        return StreamSession.begin(
            self._keeping(), gateway=closed.gateway, at=closed.started_at, once=True
        )

    def _keeping(self) -> psycopg.Connection:
        if self._session_connection is None:
            self._session_connection = self._connect()
        return self._session_connection

    def _connect(self) -> psycopg.Connection:
        """Connect, and see that it is still the store that it was: it may have failed over."""
        connection = self._store.connect(made_by=ImpatientConnection)
        if isinstance(connection, ImpatientConnection):
            connection.patience = self._patience * _BEYOND
            connection.is_abandoned = lambda: self._abandoned
        try:
            seconds = {"statement_timeout": self._patience, "lock_timeout": self._patience / 2}
            session.limit(
                connection, {name: f"{each * 1000:.0f}ms" for name, each in seconds.items()}
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


def _has_ended(each: Liveness, up_to: datetime | None) -> bool:
    return each.end_reason is not None and (up_to is None or up_to >= each.last_packet_at)
