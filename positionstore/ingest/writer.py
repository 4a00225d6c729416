"""The thread that takes what has arrived and sees that it is kept."""

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.packets import Unpacker
from positionstore.ingest.inbox import Arrival, Inbox
from positionstore.ingest.meter import Meter
from positionstore.ingest.presence import Presence, Proof
from positionstore.ingest.rejections import Rejections
from positionstore.model.facts import Event, Reason, Received, Rejected, Source

_log = structlog.get_logger(__name__)

AT_ONCE: Final = 5_000
"""How many arrivals the writer takes at once: few, so that there is something to write early."""

GATHERING: Final = 0.01
"""Seconds for which a burst is gathered."""

_LOOK_EVERY: Final = 1.0
"""Seconds after which it is looked whether something in memory must go to the disk."""


class Sink(Protocol):
    """Where batches end up: whatever keeps them until they are in the database."""

    @property
    def waits(self) -> bool:
        """Whether the database is behind: something was taken that it has not got yet."""
        ...

    def take(self, batch: list[Received], *, proofs: list[Proof], emptied: bool) -> None:
        """Take responsibility for a batch; this never fails."""
        ...

    def settle(self) -> bool:
        """Put on the disk what must be there; return whether there is room for more."""
        ...

    def close(self) -> None:
        """Nothing will follow."""
        ...


class Writer:
    """Decodes what is in the inbox and hands it over, until the inbox is closed.

    It waits for the disk at most, and never for the database. What is there is taken at once, up
    to a limit. While the database is behind, what arrives is gathered for a moment, so that the
    batches grow; where it is not, nothing is held back.

    Args:
        inbox: what to take from.
        sink: where to put it.
        presence: the connections whose sessions are recorded.
        source: the gateway.
        at_once: the most to take at once.
        heartbeat_every: how often sessions are looked after at least, seconds.
        gathering: for how long a burst is gathered while the database is behind, seconds.
        settled: called after each turn, with whether there is room for more.
        meter: counts what arrives.

    Attributes:
        handed_over: how many arrivals were handed over.
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
        gathering: float = GATHERING,
        settled: Callable[[bool], None] = lambda _: None,
        meter: Meter | None = None,
    ) -> None:
        self.handed_over = 0
        self._gathering = gathering
        self._inbox = inbox
        self._sink = sink
        self._presence = presence
        self._source = source
        self._unpacker = Unpacker(NAMESPACES[source])
        self._rejections = Rejections()
        self._at_once = at_once
        self._heartbeat_every = min(heartbeat_every, _LOOK_EVERY)
        self._settled = settled
        self._meter = meter or Meter()
        self._in_hand = 0

    @property
    def in_hand(self) -> int:
        """How many arrivals were not handed over yet."""
        return self._in_hand + len(self._inbox)

    def run(self) -> None:
        """Hand over until the inbox is closed and empty."""
        try:
            patience = self._heartbeat_every
            while True:
                # Before taking: what these vouch for is then in the batch, or was before.
                proofs = self._presence.proofs()
                taken = self._inbox.take(self._at_once, patience)
                # A connection has begun or ended: it is among the next proofs.
                patience = 0.0 if taken.woken else self._heartbeat_every
                self._in_hand = len(taken.arrivals)
                batch = [self._understand(arrival) for arrival in taken.arrivals]
                self._sink.take(batch, proofs=proofs, emptied=taken.emptied)
                self._meter.count_received(batch)
                self.handed_over += self._in_hand
                self._in_hand = 0
                self._settled(self._sink.settle())
                if taken.closed and not (taken.arrivals or taken.woken):
                    break
                if self._sink.waits and not taken.closed:
                    time.sleep(self._gathering)
        finally:
            self._sink.close()

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
        self._rejections.see(what)
        return Received(what, arrival.received_at, self._source)
