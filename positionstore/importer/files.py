"""Appends captured events in files to the log.

While one batch is committed, the next is read, decoded and staged over a second connection.
Only a few thousand lines are in memory at a time, whatever the size of a file or a batch.
Uncommitted lines are in a temporary file, so that if the database refuses a batch, only the line
that causes it goes to quarantine.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

import psycopg

from positionstore.errors import PositionstoreError
from positionstore.importer.logged import Logged
from positionstore.importer.reader import JsonLinesReader
from positionstore.importer.spill import SpilledBatch, TempFile
from positionstore.store import sessions
from positionstore.store.appender import Appended
from positionstore.store.batch_writer import BatchWriter
from positionstore.store.feed import before_the_newest

_SMALLEST_BATCH: Final = 10_000
_SHARE_BESIDE_A_STREAM: Final = 5
"""What a batch is divided by while an ingester is at work, which waits for each commit."""
_ROOM_FOR_A_BATCH: Final = "128MB"
"""What a batch may fill of the server's memory before it goes to the server's disk: about what a
hundred thousand usual lines take."""

_POSITIONS: Final = (
    "SELECT count(*) FROM positions WHERE source = 'import' AND updated_at = %(now)s"
)
_POSITIONS_OF_A_LOG: Final = """
    SELECT count(*) FROM positions p
    JOIN events e ON e.position_id = p.position_id AND e.event_id = p.last_event_id
    WHERE e.seq > %(seq)s
"""
"""Where a log came in its facts were received long ago; they are known by their new seq."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    Attributes:
        read: lines that are not blank.
        appended: facts that are new in the log.
        duplicates: facts that were already in the log.
        quarantined: lines that went to quarantine.
        positions: rows of ``positions`` that show a fact of this import.
    """

    read: int
    appended: int
    duplicates: int
    quarantined: int
    positions: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an import: bytes read of the files' total (None if unknown)."""

    bytes_read: int
    bytes_total: int | None
    appended: int


def import_files(
    names: Sequence[str],
    connect: Callable[[], psycopg.Connection],
    *,
    now: datetime,
    batch_size: int,
    progress: Callable[[Progress], None] | None = None,
) -> Imported:
    """Append the facts of JSON Lines files: one envelope, log row or packet per line.

    A log row keeps its ``source`` and ``received_at``, so that the positions are the same in every
    column, also in the past. Its ``seq`` is assigned by this log.

    An interrupted import can be run again, with the same result.

    Args:
        names: paths, read in this order; ``-`` is standard input; gzip and zstd are decompressed.
        connect: opens a connection to the store; called three times, and again if a line is
            refused.
        now: the ``received_at`` of lines without one, UTC.
        batch_size: the maximum number of lines a transaction, give or take a few thousand; a
            fifth of that while an ingester is running, which cannot write during a commit.
        progress: called with the progress.

    Raises:
        ConfigurationError: a file cannot be opened, or is of an unsupported kind; nothing has
            been imported.
        PositionstoreError: a file cannot be read completely, a snapshot in it is incomplete, or a
            temporary file cannot be written; earlier batches stay.
    """
    with ExitStack() as stack:
        sources = [stack.enter_context(JsonLinesReader(name)) for name in names]
        connection = stack.enter_context(connect())
        tally, seq_before = _Tally(), before_the_newest(connection, 0)

        def lines_at_most() -> int:
            share = _SHARE_BESIDE_A_STREAM if sessions.is_live(connection) else 1
            return max(1, batch_size // share)

        def roomy() -> psycopg.Connection:
            roomy_connection = connect()
            roomy_connection.execute(f"SET temp_buffers = '{_ROOM_FOR_A_BATCH}'")
            return roomy_connection

        writing = BatchWriter(
            roomy, batch_size=lines_at_most, smallest=_SMALLEST_BATCH, committed=tally.add
        )
        stack.callback(writing.drop)
        total, scratch = _total_bytes(sources), TempFile()
        try:
            for lines in chain.from_iterable(source.chunks() for source in sources):
                held = SpilledBatch(lines, now)
                tally.logged = tally.logged or any(isinstance(line, Logged) for line in lines)
                writing.take(held)
                writing.write(everything=False)
                held.put_away(scratch)
                if progress is not None:
                    read = sum(source.bytes_read for source in sources)
                    progress(Progress(read, total, tally.appended))
        except PositionstoreError:
            writing.write(everything=True)
            raise
        writing.write(everything=True)
        row = connection.execute(
            _POSITIONS_OF_A_LOG if tally.logged else _POSITIONS, {"now": now, "seq": seq_before}
        ).fetchone()
    return Imported(
        read=tally.received,
        appended=tally.appended,
        duplicates=tally.duplicates,
        quarantined=tally.quarantined,
        positions=row[0] if row else 0,
    )


class _Tally:
    """The counts so far."""

    def __init__(self) -> None:
        self.received = self.appended = self.duplicates = self.quarantined = 0
        self.logged = False

    def add(self, result: Appended) -> None:
        self.received += result.received
        self.appended += result.appended
        self.duplicates += result.duplicates
        self.quarantined += result.quarantined


def _total_bytes(sources: Sequence[JsonLinesReader]) -> int | None:
    total = 0
    for source in sources:
        if source.bytes_total is None:
            return None
        total += source.bytes_total
    return total
