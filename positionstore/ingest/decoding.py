"""From a packet to an event, or to what quarantine keeps of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.packets import Unpacker
from positionstore.ingest.meter import Meter
from positionstore.log import get_logger
from positionstore.model.facts import Event, Reason, Received, Rejected, Source
from positionstore.redaction import redacted
from positionstore.store.status import NONE_UNDERSTOOD

_log = get_logger(__name__)

_REMEDY: Final = (
    "See `positionstore quarantine list`; after an upgrade `quarantine retry` reads them."
)


class RawPacket(msgspec.Struct, gc=False):
    """What a connection delivered.

    Attributes:
        packet: an event's packet as it came, or what is wrong with a frame.
        received_at: when it was received, UTC.
        arrived: the same on a monotonic clock, seconds.
    """

    packet: str | Rejected
    received_at: datetime
    arrived: float

    def __len__(self) -> int:
        """Return about how much memory it takes, in bytes."""
        return len(self.packet.raw if isinstance(self.packet, Rejected) else self.packet)


class PacketDecoder:
    """Decodes the packets of a gateway; whatever a packet does to it, it is kept.

    Args:
        source: the gateway.
        meter: counts what arrives.
    """

    def __init__(self, source: Source, meter: Meter | None = None) -> None:
        self._source = source
        self._unpacker = Unpacker(NAMESPACES[source])
        self._rejections = RejectionLog()
        self._meter = meter or Meter()

    def decode(self, packets: Sequence[RawPacket]) -> list[Received]:
        """Return what packets hold, in their order."""
        batch = [self._decode(packet) for packet in packets]
        self._meter.count_received(batch)
        return batch

    def _decode(self, raw: RawPacket) -> Received:
        what: Event | Rejected
        if isinstance(raw.packet, Rejected):
            what = raw.packet
        else:
            encoded = raw.packet.encode(errors="surrogatepass")
            try:
                what = self._unpacker.unpack(encoded)
            except Exception as error:  # noqa: BLE001 - whatever a packet does to us, it is kept
                detail = f"It could not be read: {error.__class__.__name__}."
                what = Rejected(encoded, Reason.INTERNAL_ERROR, detail)
                _log.error("event_not_read", error=error.__class__.__name__)
        self._rejections.see(what)
        return Received(what, raw.received_at, self._source)


class RejectionLog:
    """Says in the log that inputs go to quarantine.

    The first input that goes to quarantine is logged, and no other: a gateway that sends nothing
    else would fill the log. Ten in a row without one that is understood are an error, which is
    logged once, until one is understood.
    """

    def __init__(self) -> None:
        self._is_told = False
        self._in_a_row = 0

    def see(self, what: object) -> None:
        """Look at an input, as it was understood."""
        if not isinstance(what, Rejected):
            if self._in_a_row >= NONE_UNDERSTOOD:
                _log.info("inputs_understood_again")
            self._in_a_row = 0
            return
        self._in_a_row += 1
        said = {"reason": str(what.reason), "detail": redacted(what.detail), "remedy": _REMEDY}
        if self._in_a_row == NONE_UNDERSTOOD:
            _log.error("every_input_quarantined", in_a_row=self._in_a_row, **said)
        if not self._is_told:
            self._is_told = True
            _log.warning("input_quarantined", **said)
