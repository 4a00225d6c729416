"""Facts on their way to the server: a batch for the table ``incoming``, a few as parameters.

A batch goes in PostgreSQL's binary ``COPY`` format.

Source: the PostgreSQL manual, "COPY", section "Binary Format".
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from positionstore.model.facts import Event, Received

Incoming = tuple[Received, Event]
"""A fact of a batch, with the circumstances of its arrival."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_CHUNK_BYTES: Final = 1 << 18

_length = struct.Struct("!i").pack
_row_head = struct.Struct("!hii").pack
_int8 = struct.Struct("!iq").pack


class IncomingRows:
    """Rows for ``incoming``, in the order they are added.

    What is added can be taken piece by piece, so that the server works on one while the next is
    made.

    Args:
        first_ordinal: the number of the first row; more than 0 where the table has rows already.
    """

    def __init__(self, first_ordinal: int = 0) -> None:
        self._parts: list[bytes] = [_HEADER]
        self._size = 0
        self._first_ordinal = first_ordinal
        self._count = 0
        self._words: dict[str, bytes] = {}
        self._last_moment: tuple[datetime, bytes] | None = None

    def __len__(self) -> int:
        return self._count

    def add(
        self,
        *,
        event_id: str,
        position_id: str,
        type_: str,
        status: str | None,
        created_at: datetime,
        received_at: datetime,
        source: str,
        supersedes_before: datetime | None = None,
        envelope: bytes,
    ) -> None:
        """Add a fact."""
        self._parts += (
            _row_head(10, 4, self._first_ordinal + self._count),
            _text(event_id),
            _text(position_id),
            self._word(type_),
            _NULL if status is None else self._word(status),
            _moment(created_at),
            self._recent(received_at),
            self._word(source),
            _NULL if supersedes_before is None else _moment(supersedes_before),
            _length(len(envelope)),
            envelope,
        )
        self._size += len(envelope)
        self._count += 1

    @property
    def is_enough(self) -> bool:
        """Whether what was not taken yet is of a size that suits a socket."""
        return self._size >= _CHUNK_BYTES

    def take(self) -> bytes:
        """Return what was added since this was last called: the next piece of the stream."""
        piece = b"".join(self._parts)
        self._parts, self._size = [], 0
        return piece

    def take_last(self) -> bytes:
        """Return the last piece of the stream."""
        self._parts.append(_TRAILER)
        return self.take()

    def _word(self, word: str) -> bytes:
        known = self._words.get(word)
        if known is None:
            known = self._words[word] = _text(word)
        return known

    def _recent(self, moment: datetime) -> bytes:
        if self._last_moment is None or self._last_moment[0] is not moment:
            self._last_moment = (moment, _moment(moment))
        return self._last_moment[1]


def pieces(facts: Iterable[Incoming], *, first_ordinal: int) -> Iterator[bytes]:
    """Yield facts for ``incoming``, piece by piece; nothing where there are none.

    Args:
        facts: them, in the order of arrival.
        first_ordinal: the number of the first row; more than 0 where the table has rows already.
    """
    rows = IncomingRows(first_ordinal)
    for received, what in facts:
        rows.add(
            event_id=what.event_id,
            position_id=what.position_id,
            type_=what.type,
            status=what.status,
            created_at=what.created_at,
            received_at=received.received_at,
            source=received.source,
            supersedes_before=received.supersedes_before,
            envelope=what.envelope,
        )
        if rows.is_enough:
            yield rows.take()
    if len(rows):
        yield rows.take_last()


def arrays(facts: Sequence[Incoming]) -> dict[str, list[object]]:
    """Return facts as the parameters of ``append_few``, in the order of arrival."""
    events = [what for _, what in facts]
    overruled = [received.supersedes_before for received, _ in facts]
    return {
        "event_ids": [each.event_id for each in events],
        "position_ids": [each.position_id for each in events],
        "types": [each.type for each in events],
        "statuses": [each.status for each in events],
        "created_at": [each.created_at for each in events],
        "received_at": [received.received_at for received, _ in facts],
        "sources": [received.source.value for received, _ in facts],
        # As texts, for an array of nothing but NULL has no type of its own.
        "supersedes_before": [each and each.isoformat() for each in overruled],
        "envelopes": [each.envelope.decode() for each in events],
    }


def _text(value: str) -> bytes:
    data = value.encode()
    return _length(len(data)) + data


def _moment(value: datetime) -> bytes:
    return _int8(8, (value - _EPOCH) // _MICROSECOND)
