"""The ingester's hold on the database: batches into the log, sessions into their table."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import psycopg
import structlog

from positionstore.errors import DatabaseUnavailableError
from positionstore.facts import Reason, Received, Rejected
from positionstore.ingester.presence import Proof
from positionstore.store.database import Store
from positionstore.store.log import Appended, Appender
from positionstore.store.sessions import StreamSession

_log = structlog.get_logger(__name__)

_PROGRAM_LIMIT: Final = "54"
"""SQLSTATE class of values that are too much for an index or a type."""


class Recorder:
    """Writes over connections of its own, which it opens when they are needed.

    Not for two threads at once. After an error every connection is dropped, and the next call
    begins with new ones; nothing that was handed over twice ends up in the log twice.

    Args:
        store: where to write.
        heartbeat_every: how often the last proof of life of a session is recorded, seconds.
        monotonic: a clock for that, seconds.
    """

    def __init__(
        self, store: Store, *, heartbeat_every: float, monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self._heartbeat_every = heartbeat_every
        self._monotonic = monotonic
        self._log_connection: psycopg.Connection | None = None
        self._session_connection: psycopg.Connection | None = None
        self._appender: Appender | None = None
        self._session_ids: dict[int, int] = {}
        self._heartbeats: dict[int, float] = {}
        self._uncounted = _Count()

    def append(self, batch: Sequence[Received]) -> None:
        """Put a batch into the log, and project it.

        What the database will not have, though it is an event, goes to quarantine; the rest of
        its batch goes into the log.

        Raises:
            psycopg.Error: the database cannot be used just now.
            DatabaseUnavailableError: the same.
        """
        try:
            self._uncounted.add(self._appending().append(batch))
        except (psycopg.Error, DatabaseUnavailableError) as error:
            if not _blames_data(error):
                self.drop()
                raise
            self._append_around(batch, error)
        except Exception as error:  # noqa: BLE001 - one event must not stop the others
            self.drop()
            self._append_around(batch, error)

    def _append_around(self, batch: Sequence[Received], error: Exception) -> None:
        """Find the event that is to blame by halves; quarantine it, append the others."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self.append(batch[:middle])
            self.append(batch[middle:])
            return
        (received,) = batch
        if isinstance(received.what, Rejected):
            raise error
        if isinstance(error, psycopg.Error):
            reason = Reason.REFUSED_BY_DATABASE
            said = error.diag.message_primary or str(error)
        else:
            reason, said = Reason.INTERNAL_ERROR, f"{error.__class__.__name__}: {error}"
        _log.error("event_not_appended", reason=reason, error=said)
        refused = Rejected(received.what.envelope, reason, said)
        self.append([Received(refused, received.received_at, received.source)])

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
        ended = proof.end_reason is not None and written_up_to is None
        if not ended and now - self._heartbeats[number] < self._heartbeat_every:
            return False
        # The row outlives the connection that it was written over.
        session = StreamSession(self._session_ids[number], self._keeping())
        if number == max(self._session_ids):
            self._uncounted.move_to(session)
        if ended:
            session.end(proof.last_packet_at, proof.end_reason or "")
            del self._session_ids[number], self._heartbeats[number]
            return True
        seen = proof.last_packet_at
        session.prove_alive(seen if written_up_to is None else min(seen, written_up_to))
        self._heartbeats[number] = now
        return False

    def drop(self) -> None:
        """Let go of the database."""
        for connection in (self._log_connection, self._session_connection):
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()
        self._log_connection = self._session_connection = self._appender = None

    def _appending(self) -> Appender:
        if self._appender is None:
            self._log_connection = self._store.connect()
            self._appender = Appender(self._log_connection)
        return self._appender

    def _keeping(self) -> psycopg.Connection:
        if self._session_connection is None:
            self._session_connection = self._store.connect()
        return self._session_connection


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


def _blames_data(error: Exception) -> bool:
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        return True
    sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
    return sqlstate is not None and sqlstate.startswith(_PROGRAM_LIMIT)
