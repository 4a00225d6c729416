"""Keeps lines outside memory until they are in the log, and hands them on position by position."""

import tempfile
import weakref
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import FileIO
from itertools import accumulate, islice, takewhile
from math import inf
from time import monotonic
from typing import Final, overload

from positionstore.errors import PositionstoreError
from positionstore.importer.logged import IncompleteSnapshotError, Line, Logged, read_line
from positionstore.importer.reader import JsonLinesReader, RawLine, read_at
from positionstore.model.facts import Received, Rejected, Source

_LINES_OF_A_BLOCK: Final = 16_384
_BYTES_OF_A_BLOCK: Final = 64 * 1024 * 1024
_NUMBERS_OF_A_BLOCK: Final = 1 << 24
"""More than a block can have lines: a line of a file may have a record in every other byte."""
_BLOCKS: Final = 64
_BYTES_ON_DISK: Final = 512 * 1024 * 1024
_POSITIONS: Final = 65_536
_LONGEST_POSITION: Final = 200
"""Bytes of a position's id; lines with longer ones do not wait."""
_LINES_AFTER_THE_END: Final = 32_768
"""How many lines a position waits after its end, for duplicates and what comes late."""
_SECONDS: Final = 10.0
"""How long a line waits where a source may be slow: a pipe."""

_LINES_OF_A_BATCH: Final = 2_000
_BYTES_OF_A_BATCH: Final = 8 * 1024 * 1024


class WaitingLines:
    """Lines that wait for the others of their position.

    The fold does not depend on the order of facts, and a position is written once in a transaction
    however many facts it has. So the lines of a position go together: some time after its end was
    read, or after a million lines. Of a line only its place is in memory: in its own file, if it
    can be read there again, or in a temporary file.

    Positions are handed on as they ended, and those that are left in the order of their first
    lines. The lines of a batch are in the order of the file. A position is cut only where its lines
    alone make more than a batch, or are very long.

    Args:
        received_at: when this process read the lines, UTC.
        terminal: the statuses that a position ends with. One that is missing only costs time.
    """

    def __init__(self, received_at: datetime, terminal: Collection[bytes]) -> None:
        self._received_at = received_at
        self._terminal = terminal
        self._ends_at = inf
        self._read = 0
        self._blocks: dict[int, _Block] = {}
        self._open: _Block | None = None
        self._blocks_begun = 0
        self._positions: dict[bytes, array[int]] = {}
        self._ended: deque[tuple[int, bytes]] = deque()
        self._due = array("q")

    @property
    def is_overdue(self) -> bool:
        """Whether the first of them has waited for long."""
        return monotonic() >= self._ends_at

    def add(self, source: JsonLinesReader, lines: Sequence[RawLine]) -> Iterator["SpilledBatch"]:
        """Take in lines of a file, and yield what waits no longer.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        if source.bytes_total is None:
            self._ends_at = min(self._ends_at, monotonic() + _SECONDS)
        positions, terminal = self._positions, self._terminal
        has_too_long = False
        for number, each in enumerate(lines, start=self._block_of(source).add(lines)):
            position = each.position
            if not position or len(position) > _LONGEST_POSITION:
                self._due.append(number)
                has_too_long = has_too_long or isinstance(each.content, Rejected)
                continue
            if (numbers := positions.get(position)) is None:
                positions[position] = array("q", (number,))
            else:
                numbers.append(number)
            if each.status in terminal:
                self._ended.append((self._read, position))
        self._read += len(lines)
        # Less at first, so that the server has something to do soon.
        settled = self._read - min(self._read // 2, _LINES_AFTER_THE_END)
        while self._ended and self._ended[0][0] < settled:
            _, position = self._ended.popleft()
            yield from self._let_go(positions.pop(position, ()))
        if has_too_long or len(self._due) >= _LINES_OF_A_BATCH:
            yield from self._batches()
        while self._are_too_many():
            yield from self._let_go_of_a_block()

    def everything(self) -> Iterator["SpilledBatch"]:
        """Yield all that waits."""
        positions, self._positions = self._positions, {}
        for numbers in positions.values():
            yield from self._let_go(numbers)
        yield from self._batches()
        self._close_block()
        self._ended.clear()
        self._ends_at = inf

    def _block_of(self, source: JsonLinesReader) -> "_Block":
        """Return the block that the next lines of a file belong to."""
        if self._open is None or self._open.source is not source or self._open.is_full:
            self._close_block()
            number = self._blocks_begun
            self._blocks_begun += 1
            self._open = self._blocks[number] = _Block(number, source, self._received_at)
        return self._open

    def _close_block(self) -> None:
        block, self._open = self._open, None
        if block is not None and not block.waiting:
            del self._blocks[block.number]

    def _are_too_many(self) -> bool:
        return (
            len(self._blocks) > _BLOCKS
            or len(self._positions) > _POSITIONS
            or sum(block.bytes_on_disk for block in self._blocks.values()) > _BYTES_ON_DISK
        )

    def _let_go_of_a_block(self) -> Iterator["SpilledBatch"]:
        """Yield all positions that have a line in the block that was begun first."""
        oldest = next(iter(self._blocks.values()))
        if oldest is self._open:
            self._close_block()
        end = (oldest.number + 1) * _NUMBERS_OF_A_BLOCK
        in_it = takewhile(lambda each: each[1][0] < end, self._positions.items())
        for position, _ in list(in_it):  # they are in the order of their first lines
            yield from self._let_go(self._positions.pop(position))
        yield from self._batches()

    def _let_go(self, numbers: Sequence[int]) -> Iterator["SpilledBatch"]:
        """Put lines of a position to what goes next; yield that when it makes a batch."""
        if len(self._due) + len(numbers) > 2 * _LINES_OF_A_BATCH:
            yield from self._batches()
        self._due.extend(numbers)
        if len(self._due) >= _LINES_OF_A_BATCH:
            yield from self._batches()

    def _batches(self) -> Iterator["SpilledBatch"]:
        """Yield what goes next, in several where it is long."""
        numbers, self._due = array("q", sorted(self._due)), array("q")
        first = size = 0
        for at, number in enumerate(numbers):
            if at - first >= 2 * _LINES_OF_A_BATCH or size >= _BYTES_OF_A_BATCH:
                yield self._batch(numbers[first:at])
                first, size = at, 0
            size += self._blocks[number // _NUMBERS_OF_A_BLOCK].size(number)
        if len(numbers):
            yield self._batch(numbers[first:])

    def _batch(self, numbers: "array[int]") -> "SpilledBatch":
        blocks: dict[int, _Block] = {}
        too_long: dict[int, Rejected] = {}
        for place, lines in _by_block(numbers):
            block = blocks[place] = self._blocks[place]
            block.waiting -= len(lines)
            if block.too_long:
                too_long.update(block.hand_over(lines))
            if not block.waiting and block is not self._open:
                del self._blocks[place]
        return SpilledBatch(blocks, numbers, too_long)


class SpilledBatch(Sequence[Received]):
    """Lines for the log: read when they are needed, and in memory until they are put away.

    Args:
        blocks: have them, by their numbers.
        lines: the numbers of the lines.
        too_long: those that are in no file, by their numbers: what quarantine gets.

    Attributes:
        has_log_rows: whether one of the lines that were read is a row of a log.
    """

    def __init__(
        self,
        blocks: Mapping[int, "_Block"],
        lines: "array[int]",
        too_long: Mapping[int, Rejected],
    ) -> None:
        self.has_log_rows = False
        self._blocks = blocks
        self._numbers = lines
        self._too_long = too_long
        self._lines: list[Received] | None = None

    def load(self) -> None:
        """Read the lines into memory.

        Raises:
            PositionstoreError: a file is no longer what it was.
        """
        self._lines = list(self)

    def put_away(self) -> None:
        """Let go of what is in memory."""
        self._lines = None

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Received]:
        return iter(self._lines) if self._lines is not None else self._read()

    @overload
    def __getitem__(self, index: int) -> Received: ...

    @overload
    def __getitem__(self, index: slice) -> list[Received]: ...

    def __getitem__(self, index: int | slice) -> Received | list[Received]:
        return list(self)[index]

    def _read(self) -> Iterator[Received]:
        for place, lines in _by_block(self._numbers):
            block = self._blocks[place]
            for line in block.read(lines, self._too_long):
                self.has_log_rows = self.has_log_rows or isinstance(line, Logged)
                yield received(line, block.received_at)


def _by_block(numbers: "array[int]") -> Iterator[tuple[int, "array[int]"]]:
    """Yield the number of each block that lines are in, and its lines, of sorted lines."""
    first = 0
    while first < len(numbers):
        place = numbers[first] // _NUMBERS_OF_A_BLOCK
        end = bisect_left(numbers, (place + 1) * _NUMBERS_OF_A_BLOCK, first)
        yield place, numbers[first:end]
        first = end


class _Block:
    """Some lines in a row of a file, and where each can be read again.

    Args:
        number: its own; the numbers of its lines follow from it.
        source: the file.
        received_at: when this process read it, UTC.

    Attributes:
        waiting: how many of its lines are not handed on yet.
        bytes_on_disk: of its temporary file.
        too_long: what quarantine gets of lines that are too long, by their numbers.
    """

    def __init__(self, number: int, source: JsonLinesReader, received_at: datetime) -> None:
        self.number = number
        self.source = source
        self.received_at = received_at
        self.waiting = self.bytes_on_disk = 0
        self._first = number * _NUMBERS_OF_A_BLOCK
        self._temp = None if source.can_reread else _TempFile()
        self._offsets = array("q")
        self._lengths = array("i")
        self.too_long: dict[int, Rejected] = {}

    @property
    def is_full(self) -> bool:
        """Whether further lines belong to another."""
        return len(self._offsets) >= _LINES_OF_A_BLOCK or self.bytes_on_disk >= _BYTES_OF_A_BLOCK

    def add(self, lines: Sequence[RawLine]) -> int:
        """Take lines in; return the number of the first, which the others follow.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        first = self._first + len(self._offsets)
        lengths = [len(each.content) if type(each.content) is bytes else 0 for each in lines]
        if 0 in lengths:
            for number, line in enumerate(lines, start=first):
                if isinstance(content := line.content, Rejected):
                    self.too_long[number] = content
        if self._temp is None:
            self._offsets.extend([each.offset for each in lines])
        else:
            self._temp.add(lines)
            self._offsets.extend(
                islice(accumulate(lengths, initial=self.bytes_on_disk), len(lines))
            )
            self.bytes_on_disk += sum(lengths)
        self._lengths.extend(lengths)
        self.waiting += len(lines)
        return first

    def size(self, number: int) -> int:
        """Return the bytes of a line that are kept."""
        too_long = self.too_long.get(number) if self.too_long else None
        return self._lengths[number - self._first] if too_long is None else len(too_long.raw)

    def hand_over(self, numbers: Iterable[int]) -> dict[int, Rejected]:
        """Return those of some lines that are too long, and keep them no longer."""
        return {each: self.too_long.pop(each) for each in numbers if each in self.too_long}

    def read(self, numbers: Iterable[int], too_long: Mapping[int, Rejected]) -> Iterator[Line]:
        """Read some of its lines, of which those that are too long are given.

        Raises:
            PositionstoreError: its file is no longer what it was.
        """
        first, offsets, lengths = self._first, self._offsets, self._lengths
        content = (self._temp or self.source).read
        try:
            for number in numbers:
                if number in too_long:
                    yield too_long[number]
                    continue
                place = number - first
                yield read_line(content(offsets[place], lengths[place]))
        except IncompleteSnapshotError:
            raise PositionstoreError(
                "A file has a snapshot without the supersedes_before that it had in its log, or "
                "was changed while it was imported. A part of it is imported.",
                remedy="Export the log again, with `positionstore export events --format jsonl`.",
            ) from None


def received(line: Line, at: datetime) -> Received:
    """Return the fact of a line, received at a time (UTC)."""
    if not isinstance(line, Logged):
        return Received(line, at, Source.IMPORT)
    # A clock that is ahead of ours is not believed: what is not yet cannot have been received.
    received_at = at if line.received_at is None else min(line.received_at, at)
    return Received(line.what, received_at, line.source, line.supersedes_before)


class _TempFile:
    """An unnamed file, which the system deletes when nothing refers to it any more."""

    def __init__(self) -> None:
        self._file: FileIO | None = None

    def add(self, lines: Sequence[RawLine]) -> None:
        """Write the contents of lines behind those that it has.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        content = memoryview(
            b"".join(line.content for line in lines if not isinstance(line.content, Rejected))
        )
        try:
            if self._file is None:
                # Without a buffer: what did not fit on the disk is not tried once more by close().
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as its contents are needed
                weakref.finalize(self, self._file.close)
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise PositionstoreError(
                f"A temporary file cannot be written: {error.strerror or error}.",
                remedy="Point TMPDIR at a folder with room for a gigabyte, and run it again.",
            ) from None

    def read(self, offset: int, length: int) -> bytes:
        """Return a part of what was written.

        Raises:
            PositionstoreError: it cannot be read.
        """
        return (
            b"" if self._file is None else read_at(self._file, offset, length, "A temporary file")
        )
