"""Appends captured events in files to the log.

It commits by position: lines wait until those of their position have come. While one batch is
committed, the next is staged over a second connection. Only a few thousand lines are in memory at a
time, however many wait. Uncommitted lines can be read again, so that if the database refuses a
batch, only the line that causes it goes to quarantine.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from positionstore.errors import PositionstoreError
from positionstore.importer.reader import JsonLinesReader
from positionstore.importer.spill import SpilledBatch, WaitingLines
from positionstore.store import sessions
from positionstore.store.appender import Appended
from positionstore.store.batch_writer import BatchWriter
from positionstore.store.feed import before_the_newest
from positionstore.store.statuses import terminal_statuses

_SMALLEST_BATCH: Final = 2_000
_SHARE_BESIDE_A_STREAM: Final = 5
"""What a batch is divided by while an ingester is at work, which waits for each commit."""
_ROOM_FOR_A_BATCH: Final = "64MB"
"""What a batch may fill of the server's memory before it goes to the server's disk: about what
fifty thousand usual lines take."""

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
    """The progress of an import: bytes done of the files' total (None if unknown).

    A line is half done when it is read, and wholly when it is handed on to the database, of which
    two transactions may not be committed yet.
    """

    bytes_done: int
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
        course = _Course(sources, tally, progress)

        def lines_at_most() -> int:
            share = _SHARE_BESIDE_A_STREAM if sessions.is_live(connection) else 1
            return max(1, batch_size // share)

        def roomy() -> psycopg.Connection:
            roomy_connection = connect()
            roomy_connection.execute(f"SET temp_buffers = '{_ROOM_FOR_A_BATCH}'")
            return roomy_connection

        writing = BatchWriter(
            roomy, batch_size=lines_at_most, smallest=_SMALLEST_BATCH, committed=course.commit
        )
        stack.callback(writing.drop)
        terminal = frozenset(map(str.encode, terminal_statuses(connection)))
        waiting = WaitingLines(now, terminal)
        try:
            for batch in _batches(sources, waiting, course.read):
                if batch is None:
                    writing.write(everything=True)
                    continue
                batch.load()
                writing.take(batch)
                writing.write(everything=False)
                tally.logged = tally.logged or batch.has_log_rows
                batch.put_away()
                course.hand_on(len(batch))
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


def _batches(
    sources: Sequence[JsonLinesReader], waiting: WaitingLines, read: Callable[[int], None]
) -> Iterator[SpilledBatch | None]:
    """Yield all lines; None where what came so far should be committed.

    Raises:
        PositionstoreError: a file cannot be read further; what came before was handed on.
    """
    try:
        for source in sources:
            for lines in source.chunks():
                if lines:
                    read(len(lines))
                    yield from waiting.add(source, lines)
                # Of a pipe that pauses, nothing stays uncommitted, nor its temporary file open.
                if waiting.is_overdue or not lines:
                    yield from waiting.everything()
                    yield None
                elif source.may_stall_unseen:
                    yield from waiting.everything()
    except PositionstoreError:
        yield from waiting.everything()
        yield None
        raise
    yield from waiting.everything()
    yield None


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


class _Course:
    """How far an import is, reported to the caller."""

    def __init__(
        self,
        sources: Sequence[JsonLinesReader],
        tally: _Tally,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self._sources = sources
        self._tally = tally
        self._report = report
        sizes = [source.bytes_total for source in sources]
        self._total = None if None in sizes else sum(filter(None, sizes))
        self._read = self._handed_on = self._done = 0

    def read(self, lines: int) -> None:
        """Count lines that were read."""
        self._read += lines
        self._say()

    def hand_on(self, lines: int) -> None:
        """Count lines that were handed on."""
        self._handed_on += lines
        self._say()

    def commit(self, result: Appended) -> None:
        """Count what was committed."""
        self._tally.add(result)
        self._say()

    def _say(self) -> None:
        if self._report is None:
            return
        done = sum(source.bytes_read for source in self._sources)
        done = int(done * (1 + self._handed_on / self._read) / 2)
        # Bytes are read in large blocks, so that their number runs ahead of that of the lines.
        self._done = max(self._done, done)
        self._report(Progress(self._done, self._total, self._tally.appended))
