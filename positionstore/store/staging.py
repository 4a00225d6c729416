"""Facts in PostgreSQL's binary ``COPY`` format, ready for the table ``incoming``.

Source: the PostgreSQL manual, "COPY", section "Binary Format".
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import Final

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


def _text(value: str) -> bytes:
    data = value.encode()
    return _length(len(data)) + data


def _moment(value: datetime) -> bytes:
    return _int8(8, (value - _EPOCH) // _MICROSECOND)
