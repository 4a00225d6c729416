"""The thread that takes what has arrived and puts it into the log."""

import random
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

import psycopg
import structlog

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.packets import Unpacker
from positionstore.dimes.redaction import redacted
from positionstore.errors import DatabaseUnavailableError
from positionstore.facts import Event, Reason, Received, Rejected, Source
from positionstore.ingester.backoff import Backoff
from positionstore.ingester.inbox import Arrival, Inbox
from positionstore.ingester.presence import Presence, Proof

_log = structlog.get_logger(__name__)

_BASE_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0


class Sink(Protocol):
    """Where batches end up: the database, or whatever stands before it."""

    def append(self, batch: list[Received]) -> None:
        """Take a batch for good, or raise because it cannot be taken just now."""
        ...

    def record(self, proofs: list[Proof], *, written_up_to: datetime | None) -> list[Proof]:
        """Record sessions; return the proofs of those whose end is on record."""
        ...

    def drop(self) -> None:
        """Let go of everything."""
        ...


class Writer:
    """Decodes what is in the inbox and appends it, batch by batch, until the inbox is closed.

    Where the database cannot be used the batch is kept and tried again without end, and what
    arrives meanwhile waits in the inbox; that is logged once when it begins and once when it is
    over.

    Args:
        inbox: what to take from.
        sink: what to append to.
        presence: the connections whose sessions are recorded.
        source: the gateway.
        batch_size: the most events in one transaction.
        heartbeat_every: how often sessions are looked after at least, seconds.
        random: draws a number from 0 to 1, for the waits.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        inbox: Inbox,
        sink: Sink,
        presence: Presence,
        *,
        source: Source,
        batch_size: int,
        heartbeat_every: float,
        random: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = inbox
        self._sink = sink
        self._presence = presence
        self._source = source
        self._unpacker = Unpacker(NAMESPACES[source])
        self._batch_size = batch_size
        self._heartbeat_every = heartbeat_every
        self._backoff = Backoff(base=_BASE_WAIT, cap=_LONGEST_WAIT, random=random)
        self._monotonic = monotonic
        self._given_up = threading.Event()
        self._database_lost_at: float | None = None
        self._in_hand = 0

    @property
    def unwritten(self) -> int:
        """How many arrivals are not in the log yet."""
        return self._in_hand + len(self._inbox)

    def give_up(self) -> None:
        """Do not try again what fails, and take no more."""
        self._given_up.set()
        self._inbox.wake()

    def run(self) -> None:
        """Write until the inbox is closed and empty."""
        try:
            patience = self._heartbeat_every
            while not self._given_up.is_set():
                # Before taking: what these vouch for is then in the batch, or written.
                proofs = self._presence.proofs()
                taken = self._inbox.take(self._batch_size, patience)
                # A connection has begun or ended: it is among the next proofs.
                patience = 0.0 if taken.woken else self._heartbeat_every
                self._in_hand = len(taken.arrivals)
                batch = [self._understand(arrival) for arrival in taken.arrivals]
                if batch:
                    self._persist(lambda batch=batch: self._sink.append(batch))  # type: ignore[misc]
                if self._given_up.is_set():
                    break
                self._in_hand = 0
                written_up_to = None if taken.emptied or not batch else batch[-1].received_at
                if proofs:
                    self._persist(self._recording(proofs, written_up_to))
                if taken.closed and not self._presence.proofs():
                    break
        finally:
            self._sink.drop()

    def _recording(self, proofs: list[Proof], written_up_to: datetime | None) -> Callable[[], None]:
        def record() -> None:
            self._presence.forget(self._sink.record(proofs, written_up_to=written_up_to))

        return record

    def _persist(self, work: Callable[[], None]) -> None:
        """Do it, however often that takes, unless we are told to give up."""
        while True:
            try:
                work()
            except (psycopg.Error, DatabaseUnavailableError) as error:
                self._lost_database(error)
                if self._given_up.wait(self._backoff.draw()):
                    return
            else:
                self._has_database()
                return

    def _lost_database(self, error: Exception) -> None:
        if self._database_lost_at is None:
            self._database_lost_at = self._monotonic()
            _log.error("database_lost", error=redacted(str(error)), unwritten=self.unwritten)

    def _has_database(self) -> None:
        if self._database_lost_at is not None:
            away = self._monotonic() - self._database_lost_at
            _log.info("database_back", seconds=round(away, 1), unwritten=self.unwritten)
            self._database_lost_at = None
        self._backoff.succeeded(lasted=_LONGEST_WAIT)

    def _understand(self, arrival: Arrival) -> Received:
        what: Event | Rejected
        if isinstance(arrival.packet, Rejected):
            what = arrival.packet
        else:
            raw = arrival.packet.encode(errors="surrogatepass")
            try:
                what = self._unpacker.unpack(raw)
            except Exception as error:  # noqa: BLE001 - whatever a packet does to us, it is kept
                detail = f"It could not be read: {error.__class__.__name__}."
                what = Rejected(raw, Reason.INTERNAL_ERROR, detail)
                _log.error("event_not_read", error=error.__class__.__name__)
        return Received(what, arrival.received_at, self._source)
