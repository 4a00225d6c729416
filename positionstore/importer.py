"""Bringing in what lies elsewhere: captured events in files, and inputs in quarantine.

While one batch is committed, the next is read, decoded and staged over a second connection.
Only a few thousand lines are in memory at a time, whatever the size of a file or a batch.
"""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO, Final

import psycopg

from positionstore.dimes.decoder import decode
from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.facts import Event, Received, Source
from positionstore.store import quarantine, sessions
from positionstore.store.log import Appended, Appender
from positionstore.store.pipeline import Pipeline

STANDARD_INPUT: Final = "-"
LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes; a longer line is no event, and no memory is spent on finding its end."""

_LINES_AT_A_TIME: Final = 2_000
_BYTES_AT_A_TIME: Final = 8 * 1024 * 1024
_SMALLEST_BATCH: Final = 10_000
_SHARE_BESIDE_A_STREAM: Final = 5
"""What a batch is divided by while an ingester is at work, which waits for each commit."""

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an import.

    Attributes:
        read: lines that are not blank.
        appended: events that are new in the log.
        duplicates: events that the log had already.
        quarantined: lines that are in quarantine now.
        positions: rows of ``positions`` that show an event of this import.
    """

    read: int
    appended: int
    duplicates: int
    quarantined: int
    positions: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: bytes read of the files' total (None where it is not known)."""

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
    """Append the events of JSON Lines files, one envelope a line.

    Interrupted and run again, it ends in the same state.

    Args:
        names: paths, read in this order; ``-`` is standard input, ``.gz`` is unpacked.
        connect: opens a connection to the store; called up to three times.
        now: the ``received_at`` of all that is imported, UTC.
        batch_size: lines a transaction at most, give or take a few thousand; a fifth of that
            while an ingester is at work, which cannot write during a commit.
        progress: is told how far it is.

    Raises:
        ConfigurationError: a file cannot be opened; nothing has been imported.
        PositionstoreError: a file cannot be read to its end; what was read before stays.
    """
    with ExitStack() as stack:
        sources = [stack.enter_context(_Lines(name)) for name in names]
        connection = stack.enter_context(connect())
        tally = _Tally()

        def lines_at_most() -> int:
            share = _SHARE_BESIDE_A_STREAM if sessions.is_live(connection) else 1
            return max(1, batch_size // share)

        pipeline = stack.enter_context(
            closing(
                Pipeline(
                    connect,
                    batch_size=lines_at_most,
                    smallest=_SMALLEST_BATCH,
                    committed=tally.add,
                )
            )
        )
        total = _total_bytes(sources)
        try:
            for lines in chain.from_iterable(source.chunks() for source in sources):
                pipeline.stage([Received(decode(line), now, Source.IMPORT) for line in lines])
                pipeline.advance()
                if progress is not None:
                    read = sum(source.bytes_read for source in sources)
                    progress(Progress(read, total, tally.appended))
        except PositionstoreError:
            pipeline.finish()
            raise
        pipeline.finish()
        row = connection.execute(
            "SELECT count(*) FROM positions WHERE source = 'import' AND updated_at = %s", [now]
        ).fetchone()
    return Imported(
        read=tally.received,
        appended=tally.appended,
        duplicates=tally.duplicates,
        quarantined=tally.quarantined,
        positions=row[0] if row else 0,
    )


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a retry.

    Attributes:
        tried: entries of quarantine that were read again.
        released: those that are in the log now.
    """

    tried: int
    released: int


def retry_quarantine(
    connect: Callable[[], psycopg.Connection], *, only: Sequence[int] | None = None
) -> Retried:
    """Read inputs in quarantine again, as after an upgrade of the decoder.

    Args:
        connect: opens a connection to the store; called twice.
        only: the numbers of the entries; all that wait where it is None.
    """
    tried = released = after = 0
    with connect() as reader, connect() as writer:
        appender = Appender(writer)
        while entries := quarantine.to_retry(reader, after=after, only=only):
            after = entries[-1].quarantine_id
            tried += len(entries)
            for entry in entries:
                what = decode(entry.raw)
                if not isinstance(what, Event):
                    continue
                result = appender.append([Received(what, entry.received_at, Source(entry.source))])
                if not result.quarantined:
                    quarantine.release(reader, [entry.quarantine_id])
                    released += 1
    return Retried(tried, released)


class _Tally:
    """What became of the lines so far."""

    def __init__(self) -> None:
        self.received = self.appended = self.duplicates = self.quarantined = 0

    def add(self, result: Appended) -> None:
        self.received += result.received
        self.appended += result.appended
        self.duplicates += result.duplicates
        self.quarantined += result.quarantined


class _Lines:
    """The lines of a file, some at a time, and how far it has been read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bytes_total: int | None = None
        self._raw: IO[bytes]
        self._lines: IO[bytes] | gzip.GzipFile
        self._packed = name.endswith(".gz")

    @property
    def bytes_read(self) -> int:
        """Bytes of the file itself (packed, if it is packed) read so far."""
        return self._raw.tell() if self.bytes_total is not None else 0

    def __enter__(self) -> "_Lines":
        try:
            if self.name == STANDARD_INPUT:
                self._raw = sys.stdin.buffer
            else:
                path = Path(self.name)
                self._raw = path.open("rb")
                self.bytes_total = path.stat().st_size if path.is_file() else None
        except OSError as error:
            raise ConfigurationError(
                f"{self.name} cannot be read: {error.strerror or error}.",
                remedy="Nothing was imported.",
            ) from None
        self._lines = gzip.open(self._raw, "rb") if self._packed else self._raw
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._packed:
            self._lines.close()
        if self.name != STANDARD_INPUT:
            self._raw.close()

    def chunks(self) -> Iterator[list[bytes]]:
        """Yield the lines that are not blank, without their ends.

        Raises:
            PositionstoreError: the file cannot be read on, or a line is too long.
        """
        chunk: list[bytes] = []
        size = number = 0
        unreadable: PositionstoreError | None = None
        while True:
            try:
                line = self._next_line(number + 1)
            except PositionstoreError as error:
                unreadable = error  # raised when all that came before it is handed on
                break
            if not line:
                break
            number += 1
            if number == 1:
                line = line.removeprefix(_BOM)
            line = line.strip(b" \t\r\n")
            if not line:
                continue
            chunk.append(line)
            size += len(line)
            if len(chunk) >= _LINES_AT_A_TIME or size >= _BYTES_AT_A_TIME:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk
        if unreadable is not None:
            raise unreadable

    def _next_line(self, number: int) -> bytes:
        try:
            line = self._lines.readline(LONGEST_LINE + 1)
        except (OSError, EOFError, zlib.error) as error:
            place = f"after line {number - 1}" if number > 1 else "at all"
            raise PositionstoreError(
                f"{self.name} cannot be read {place}: {error}.",
                remedy="What came before is imported; mend the file and run it again."
                if number > 1
                else "Nothing of it is imported; mend the file and run it again.",
            ) from None
        if len(line) > LONGEST_LINE:
            raise PositionstoreError(
                f"{self.name} has more than {LONGEST_LINE // 2**20} MiB in line {number}.",
                remedy="What came before is imported; is it JSON Lines, one envelope a line?",
            )
        return line


def _total_bytes(sources: Sequence[_Lines]) -> int | None:
    total = 0
    for source in sources:
        if source.bytes_total is None:
            return None
        total += source.bytes_total
    return total
