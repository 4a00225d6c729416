"""Brings what the buffer holds into the database, however often that takes."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from positionstore import tracing
from positionstore.dimes.recovery import RecoverySession
from positionstore.ingest.backoff import Backoff
from positionstore.ingest.buffer import DatabaseState, EventBuffer
from positionstore.ingest.connections import ConnectionTracker
from positionstore.ingest.meter import Meter
from positionstore.ingest.spool import Spool
from positionstore.ingest.store_writer import StoreWriter
from positionstore.ingest.worker import Worker
from positionstore.log import get_logger
from positionstore.model.facts import Received
from positionstore.redaction import redacted
from positionstore.store.appender import Appended
from positionstore.store.db_errors import ErrorAction, classify, explained

_log = get_logger(__name__)

_BASE_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_LOOK_EVERY: Final = 30.0
"""Seconds between two looks for spools of processes that have died."""


class Flusher:
    """Takes from the buffer, has it written, and acknowledges it, until the buffer is closed.

    First come the spools that dead processes left. Where the database cannot be used everything
    is tried again without end; that is logged once when it begins, and once when it is over.

    Args:
        buffer: what to write.
        writer: writes it, and records sessions.
        drainer: writes what dead processes have left.
        tracker: forgets connections whose end is on record.
        database: the thread that waits for the database.
        disk: the thread that waits for the disk.
        adopt_orphans: takes over spools of dead processes.
        keep_session: keeps a recovery session all of whose events are committed.
        heartbeat_every: how often sessions are looked after at least, seconds.
        meter: counts what is committed, and how attempts on the database end.
        random: draws a number from 0 to 1, for the waits.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        buffer: EventBuffer,
        writer: StoreWriter,
        drainer: StoreWriter,
        tracker: ConnectionTracker,
        *,
        database: Worker,
        disk: Worker,
        adopt_orphans: Callable[[], Iterator[Spool]],
        keep_session: Callable[[RecoverySession], None],
        heartbeat_every: float,
        meter: Meter | None = None,
        random: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buffer = buffer
        self._writer = writer
        self._drainer = drainer
        self._tracker = tracker
        self._database = database
        self._disk = disk
        self._adopt_orphans = adopt_orphans
        self._keep_session = keep_session
        self._heartbeat_every = heartbeat_every
        self._meter = meter or Meter()
        self._backoff = Backoff(base=_BASE_WAIT, cap=_LONGEST_WAIT, random=random)
        self._monotonic = monotonic
        self._lost_at: float | None = None
        self._look_at = 0.0

    async def run(self) -> None:
        """Write until the buffer is closed and empty, or the database fails after it was closed.

        Raises:
            ConfigurationError: the database refuses for good; the message says what to do.
            SpoolError: the spool of this process cannot be read.
        """
        ended = False
        while not ended:
            closed = self._buffer.closed
            try:
                await self._flush()
            except Exception as error:
                await self._requeue()
                if classify(error) is not ErrorAction.RETRY:
                    raise explained(error) from error
                self._note_loss(error)
                ended = closed
                if not closed:
                    await self._buffer.until_closed(self._backoff.draw())
            else:
                ended = closed and not self._buffer.pending
        await self._database.run(self._forget)

    async def _flush(self) -> None:
        batch = await self._buffer.take(self._heartbeat_every, self._tracker.liveness)
        await self._adopt()
        acked = await self._write(batch) if batch or self._writer.pending else 0
        await self._record()
        if acked or not self._writer.pending:
            self._note_success()

    async def _write(self, batch: list[Received]) -> int:
        self._meter.take(batch)
        # Where more waits, the next is staged while this is committed.
        everything = not self._buffer.has_next
        await self._database.run(self._writer.write, batch, everything=everything)
        return self._acknowledge()

    def _acknowledge(self) -> int:
        committed = self._writer.committed()
        for result in committed:
            self._meter.count_committed(result)
            _trace(result)
            self._buffer.ack(result.received)
        return len(committed)

    async def _record(self) -> None:
        """Let the sessions vouch for the time of what is committed."""
        checkpoint = self._buffer.checkpoint()
        liveness, up_to = checkpoint.liveness, checkpoint.up_to
        if not self._writer.is_due(liveness, up_to=up_to):
            return
        recorded = await self._database.run(self._writer.record, liveness, up_to=up_to)
        self._tracker.forget(recorded.ended)
        for session in recorded.safe:
            await self._disk.run(self._keep_session, session)

    async def _adopt(self) -> None:
        if self._monotonic() >= self._look_at and not self._buffer.closed:
            await self._database.run(self._drain_orphans)
            self._look_at = self._monotonic() + _LOOK_EVERY

    def _drain_orphans(self) -> None:
        for spool in self._adopt_orphans():
            self._drainer.drain(spool)
        self._drainer.drop()

    async def _requeue(self) -> None:
        """Keep in the buffer what is not committed; the connections may be broken."""
        await self._database.run(self._forget)
        self._acknowledge()
        self._meter.forget()
        self._buffer.requeue()

    def _forget(self) -> None:
        self._writer.forget()
        self._drainer.forget()

    def _note_loss(self, error: Exception) -> None:
        self._meter.note_database(works=False)
        if self._lost_at is None:
            self._lost_at = self._monotonic()
            said = redacted(str(error))
            _log.error("database_lost", error=said, unwritten=self._buffer.pending)

    def _note_success(self) -> None:
        self._meter.note_database(works=True)
        if self._buffer.state is DatabaseState.OUTAGE:
            self._buffer.ack(0)
        if self._lost_at is not None:
            away = self._monotonic() - self._lost_at
            _log.info("database_back", seconds=round(away, 1), unwritten=self._buffer.pending)
            self._lost_at = None
        self._backoff.succeeded(lasted=_LONGEST_WAIT)


def _trace(result: Appended) -> None:
    ended = datetime.now(UTC)
    tracing.tell(
        "batch",
        began=ended - timedelta(seconds=result.seconds),
        ended=ended,
        received=result.received,
        appended=result.appended,
        duplicates=result.duplicates,
        quarantined=result.quarantined,
        positions=result.positions,
    )
