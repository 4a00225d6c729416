"""The thread that takes what has arrived and puts it into the log."""

import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

import psycopg
import structlog

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.packets import Unpacker
from positionstore.dimes.redaction import redacted
from positionstore.errors import DatabaseUnavailableError
from positionstore.facts import Event, Reason, Received, Rejected, Source
from positionstore.ingester.backoff import Backoff
from positionstore.ingester.inbox import Arrival, Inbox, Taken
from positionstore.ingester.presence import Presence, Proof

_log = structlog.get_logger(__name__)

AT_ONCE: Final = 5_000
"""How many arrivals the writer takes at once: few, so that the database has to do early."""

_BASE_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_MOMENT: Final = timedelta(microseconds=1)


class Sink(Protocol):
    """Where batches end up: the database, or whatever stands before it."""

    @property
    def pending(self) -> int:
        """How many inputs were taken and are not safe yet; read in any thread."""
        ...

    @property
    def oldest(self) -> datetime | None:
        """When the first of them was received, UTC; None where there is none."""
        ...

    def take(self, batch: list[Received]) -> None:
        """Take responsibility for a batch; this never fails."""
        ...

    def write(self, *, everything: bool) -> None:
        """Bring what is pending into safety, or on its way there unless it is to be everything.

        Raises because that is not possible just now; then it is to be called again.
        """
        ...

    def record(self, proofs: list[Proof], *, written_up_to: datetime | None) -> list[Proof]:
        """Record sessions; return the proofs of those whose end is on record."""
        ...

    def drop(self) -> None:
        """Let go of everything."""
        ...


class Writer:
    """Decodes what is in the inbox and has it written, until the inbox is closed.

    What is there is taken at once, up to a limit. Where that was all, it is written before the
    next is taken: a quiet stream is in the log at once. In a burst the next is taken and decoded
    while the last is still being committed.

    Where the database cannot be used what was taken is tried again without end, and what arrives
    meanwhile waits in the inbox; that is logged once when it begins and once when it is over.

    Args:
        inbox: what to take from.
        sink: where to write.
        presence: the connections whose sessions are recorded.
        source: the gateway.
        at_once: the most to take at once.
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
        at_once: int = AT_ONCE,
        heartbeat_every: float,
        random: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = inbox
        self._sink = sink
        self._presence = presence
        self._source = source
        self._unpacker = Unpacker(NAMESPACES[source])
        self._at_once = at_once
        self._heartbeat_every = heartbeat_every
        self._backoff = Backoff(base=_BASE_WAIT, cap=_LONGEST_WAIT, random=random)
        self._monotonic = monotonic
        self._given_up = threading.Event()
        self._database_lost_at: float | None = None
        self._in_hand = 0

    @property
    def unwritten(self) -> int:
        """How many arrivals are not in the log yet."""
        return self._in_hand + self._sink.pending + len(self._inbox)

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
                taken = self._inbox.take(self._at_once, patience)
                # A connection has begun or ended: it is among the next proofs.
                patience = 0.0 if taken.woken else self._heartbeat_every
                self._in_hand = len(taken.arrivals)
                self._sink.take([self._understand(arrival) for arrival in taken.arrivals])
                self._in_hand = 0
                if self._sink.pending:
                    self._persist(partial(self._sink.write, everything=taken.emptied))
                if self._given_up.is_set():
                    break
                if proofs:
                    self._persist(partial(self._record, proofs, self._written_up_to(taken)))
                if taken.closed and not self._presence.proofs():
                    break
        finally:
            self._sink.drop()

    def _written_up_to(self, taken: Taken) -> datetime | None:
        """Return None where all is written that had arrived when this was taken."""
        if taken.emptied:
            return None
        oldest = self._sink.oldest
        return taken.arrivals[-1].received_at if oldest is None else oldest - _MOMENT

    def _record(self, proofs: list[Proof], written_up_to: datetime | None) -> None:
        self._presence.forget(self._sink.record(proofs, written_up_to=written_up_to))

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
