"""Keeps lines outside memory until they are in the log, and hands them on position by position."""

import tempfile
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate, islice
from math import inf
from time import monotonic
from typing import IO, Final, Protocol, overload

from positionstore.errors import PositionstoreError
from positionstore.importer.logged import IncompleteSnapshotError, Line, Logged, read_line
from positionstore.importer.reader import JsonLinesReader, RawLine, read_at
from positionstore.model.facts import Received, Rejected, Source

_LINES: Final = 250_000
_BYTES: Final = 512 * 1024 * 1024
_BYTES_IN_MEMORY: Final = 32 * 1024 * 1024
_POSITIONS: Final = 65_536
_LONGEST_POSITION: Final = 200
"""Bytes of a position's id; lines with longer ones go together, as if they were of one."""
_SECONDS: Final = 10.0
"""How long the first line of a window waits for the last where a source may be slow: a pipe."""

_LINES_OF_A_BATCH: Final = 2_000
_BYTES_OF_A_BATCH: Final = 8 * 1024 * 1024


class Window:
    """Lines in a row that are handed on together, by position instead of by time.

    The fold does not depend on the order of facts, and a position is written once in a transaction
    however many facts it has. So the lines of a position go together. Of a line only its place is
    in memory: in its own file, if it can be read there again, or in a temporary file.

    Args:
        received_at: when this process read the lines, UTC.

    Attributes:
        has_log_rows: whether one of the lines that were handed on was a row of a log.
    """

    def __init__(self, received_at: datetime) -> None:
        self.has_log_rows = False
        self._received_at = received_at
        self._ends_at = inf
        self._bytes = self._bytes_in_memory = 0
        self._temp = _TempFile()
        self._homes: list[_Home] = []
        self._first_of_home: list[int] = []
        self._offsets = array("q")
        self._lengths = array("i")
        self._too_long: dict[int, Rejected] = {}
        self._numbers: dict[bytes, int] = {}
        self._positions = array("i")

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def is_full(self) -> bool:
        """Whether it is time to hand its lines on."""
        return (
            len(self) >= _LINES
            or self._bytes >= _BYTES
            or self._bytes_in_memory >= _BYTES_IN_MEMORY
            or len(self._numbers) >= _POSITIONS
            or monotonic() >= self._ends_at
        )

    @property
    def ends_early(self) -> bool:
        """Whether its lines came so slowly that they should be committed at once."""
        return len(self) < _LINES_OF_A_BATCH or monotonic() >= self._ends_at

    def add(self, source: JsonLinesReader, lines: Sequence[RawLine]) -> None:
        """Take in lines of a file.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        if source.bytes_total is None:
            self._ends_at = min(self._ends_at, monotonic() + _SECONDS)
        offset = 0 if source.can_reread else self._temp.add(lines)
        home: _Home = source if source.can_reread else self._temp
        if not self._homes or self._homes[-1] is not home:
            self._homes.append(home)
            self._first_of_home.append(len(self))
        lengths = [len(each.content) if type(each.content) is bytes else 0 for each in lines]
        if 0 in lengths:
            for number, line in enumerate(lines, start=len(self)):
                if isinstance(content := line.content, Rejected):
                    self._too_long[number] = content
                    self._bytes_in_memory += len(content.raw)
        numbers = self._numbers
        for each in lines:
            position = each.position if len(each.position) <= _LONGEST_POSITION else b""
            self._positions.append(numbers.setdefault(position, len(numbers)))
        self._lengths.extend(lengths)
        if source.can_reread:
            self._offsets.extend([each.offset for each in lines])
        else:
            self._offsets.extend(islice(accumulate(lengths, initial=offset), len(lines)))
        self._bytes += sum(lengths)

    def batches(self) -> Iterator["SpilledBatch"]:
        """Yield all lines, those of a position together.

        Positions come in the order of their first lines, and the lines of a batch in theirs.
        A position that alone has more lines than a batch is cut in several.
        """
        order = self._by_position()
        first = size = 0
        for at, line in enumerate(order):
            count = at - first
            is_new = at == 0 or self._positions[line] != self._positions[order[at - 1]]
            if (count >= _LINES_OF_A_BATCH and (is_new or count >= 2 * _LINES_OF_A_BATCH)) or (
                size >= _BYTES_OF_A_BATCH
            ):
                yield SpilledBatch(self, sorted(order[first:at]))
                first, size = at, 0
            size += self._size(line)
        if first < len(order):
            yield SpilledBatch(self, sorted(order[first:]))

    def read(self, line: int) -> Received:
        """Return a line as it goes into the log.

        Raises:
            PositionstoreError: its file is no longer what it was.
        """
        if (too_long := self._too_long.get(line)) is not None:
            return received(too_long, self._received_at)
        home = self._homes[bisect_right(self._first_of_home, line) - 1]
        content = home.read(self._offsets[line], self._lengths[line])
        try:
            what = read_line(content)
        except IncompleteSnapshotError:
            raise PositionstoreError(
                "A file has a snapshot without the supersedes_before that it had in its log, or "
                "was changed while it was imported. A part of it is imported.",
                remedy="Export the log again, with `positionstore export events --format jsonl`.",
            ) from None
        self.has_log_rows = self.has_log_rows or isinstance(what, Logged)
        return received(what, self._received_at)

    def _size(self, line: int) -> int:
        too_long = self._too_long.get(line) if self._too_long else None
        return self._lengths[line] if too_long is None else len(too_long.raw)

    def _by_position(self) -> "array[int]":
        """Return the lines in the order of their positions' numbers, those of one as they came."""
        counts = array("i", bytes(4 * (len(self._numbers) + 1)))
        for position in self._positions:
            counts[position + 1] += 1
        places = array("i", accumulate(counts))
        order = array("i", bytes(4 * len(self)))
        for line, position in enumerate(self._positions):
            order[places[position]] = line
            places[position] += 1
        return order


class SpilledBatch(Sequence[Received]):
    """Lines for the log: read when they are needed, and in memory until they are put away.

    Args:
        window: has them.
        lines: their numbers in the window.
    """

    def __init__(self, window: Window, lines: Sequence[int]) -> None:
        self._window = window
        self._numbers = array("i", lines)
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
        return (
            iter(self._lines) if self._lines is not None else map(self._window.read, self._numbers)
        )

    @overload
    def __getitem__(self, index: int) -> Received: ...

    @overload
    def __getitem__(self, index: slice) -> list[Received]: ...

    def __getitem__(self, index: int | slice) -> Received | list[Received]:
        return list(self)[index]


def received(line: Line, at: datetime) -> Received:
    """Return the fact of a line, received at a time (UTC)."""
    if not isinstance(line, Logged):
        return Received(line, at, Source.IMPORT)
    # A clock that is ahead of ours is not believed: what is not yet cannot have been received.
    received_at = at if line.received_at is None else min(line.received_at, at)
    return Received(line.what, received_at, line.source, line.supersedes_before)


class _Home(Protocol):
    """Where lines can be read again."""

    def read(self, offset: int, length: int) -> bytes: ...


class _TempFile:
    """An unnamed file, which the system deletes when nothing refers to it any more."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._size = 0

    def add(self, lines: Sequence[RawLine]) -> int:
        """Write the contents of lines; return the offset of the first.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        content = b"".join(line.content for line in lines if not isinstance(line.content, Rejected))
        offset, self._size = self._size, self._size + len(content)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as its contents are needed
                weakref.finalize(self, self._file.close)
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise PositionstoreError(
                f"A temporary file cannot be written: {error.strerror or error}.",
                remedy="Point TMPDIR at a folder with room for a gigabyte, and run it again.",
            ) from None
        return offset

    def read(self, offset: int, length: int) -> bytes:
        """Return a part of what was written.

        Raises:
            PositionstoreError: it cannot be read.
        """
        return (
            b"" if self._file is None else read_at(self._file, offset, length, "A temporary file")
        )
