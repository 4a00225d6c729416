"""Facts on their way to the server: batches for the table ``incoming``, a few as parameters.

Batches go in PostgreSQL's binary ``COPY`` format.

Source: the PostgreSQL manual, "COPY", section "Binary Format".
"""

import struct
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import sql
from psycopg.copy import LibpqWriter

from positionstore.model.facts import Event, Received, Source

Incoming = tuple[Received, Event]
"""A fact of a batch, with the circumstances of its arrival."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_CHUNK_BYTES: Final = 1 << 18

_length = struct.Struct("!i").pack
_row_head = struct.Struct("!hiii").pack
_int8 = struct.Struct("!iq").pack


class IncomingCopy:
    """A ``COPY`` into ``incoming`` that is open until all rows of a transaction are there.

    What is written is on its way at once: the server works on it while the next rows are made.
    Nothing else can be asked over the connection meanwhile.
    """

    def __init__(self, connection: psycopg.Connection, statement: sql.SQL | sql.Composed) -> None:
        """Begin it.

        Raises:
            psycopg.Error: the connection, or the table, is not there.
        """
        with ExitStack() as stack:
            cursor = stack.enter_context(connection.cursor())
            # Without a threshold: the server gets each piece when it is there.
            writer = _Writer(cursor, flush_threshold=0)
            self._copy = stack.enter_context(cursor.copy(statement, writer=writer))
            self._open = stack.pop_all()
        self._rows = IncomingRows()

    def write(self, facts: Iterable[Incoming]) -> None:
        """Write facts, in the order of arrival.

        Raises:
            psycopg.Error: the connection is lost.
        """
        rows = self._rows
        for received, what in facts:
            rows.add(received, what)
            if rows.is_enough:
                self._copy.write(rows.take())
        self._copy.write(rows.take())

    def finish(self) -> None:
        """Wait until the server has all rows.

        Raises:
            psycopg.Error: it refuses one, or the connection is lost.
        """
        self._copy.write(self._rows.take_last())
        self._open.close()

    def give_up(self) -> None:
        """End it, so that the transaction can be rolled back or the connection be closed."""
        with suppress(psycopg.Error):
            self._open.__exit__(_GivenUp, _GivenUp(), None)


class _Writer(LibpqWriter):
    """psycopg's, which would log that it cannot end a ``COPY`` whose connection is closed.

    It also counts on one answer: of a session that is ended, a pooler tells after the server.
    """

    def finish(self, exc: BaseException | None = None) -> None:
        if exc is not None and self.connection.closed:
            return
        try:
            super().finish(exc)
        except ValueError:
            raise psycopg.OperationalError("the session was ended during a COPY") from None


class _GivenUp(Exception):  # noqa: N818 - tells the server to forget the rows; never seen outside
    """The rows are not wanted any more."""


class IncomingRows:
    """Rows for ``incoming``, in the order they are added; they are taken piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = [_HEADER]
        self._size = 0
        self._count = 0
        self._words = _Words()
        self._last_arrival: tuple[datetime, Source, bytes] | None = None

    def add(self, received: Received, what: Event) -> None:
        """Add a fact."""
        event_id, position_id = what.event_id.encode(), what.position_id.encode()
        before, envelope = received.supersedes_before, what.envelope
        self._parts += (
            _row_head(10, 4, self._count, len(event_id)),
            event_id,
            _length(len(position_id)),
            position_id,
            self._words[what.type],
            _NULL if what.status is None else self._words[what.status],
            _moment(what.created_at),
            self._arrival(received.received_at, received.source),
            _NULL if before is None else _moment(before),
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

    def _arrival(self, moment: datetime, source: Source) -> bytes:
        """Return two columns that many rows in a row share."""
        last = self._last_arrival
        if last is None or last[0] is not moment or last[1] is not source:
            last = self._last_arrival = (moment, source, _moment(moment) + _text(source.value))
        return last[2]


class _Words(dict[str, bytes]):
    """Texts that come again and again, as columns."""

    def __missing__(self, word: str) -> bytes:
        column = self[word] = _text(word)
        return column


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
    since = value - _EPOCH
    return _int8(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
