"""Reads JSON Lines files some lines at a time, with bounded memory."""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.importer import kinds
from positionstore.importer.kinds import Packing
from positionstore.importer.logged import (
    AROUND_AN_ENVELOPE,
    ROW,
    IncompleteSnapshotError,
    subject_of,
)
from positionstore.importer.long_line import LongLine
from positionstore.model.facts import LONGEST_ENVELOPE, Rejected

STANDARD_INPUT: Final = "-"

_LINES_AT_A_TIME: Final = 2_000
_LINES_LOOKED_AT: Final = 250
"""The same of a file whose lines are read again: what is to be dropped is dropped while the
processor's cache holds it."""
_BYTES_AT_A_TIME: Final = 8 * 1024 * 1024
_BYTES_OF_A_BLOCK: Final = 256 * 1024
_STALLED_AFTER: Final = 1_000
"""Milliseconds without anything new, after which a pipe pauses."""
_LONGEST_LINE: Final = LONGEST_ENVELOPE + AROUND_AN_ENVELOPE + 2
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_RECORD: Final = b"\x1e"
"""Separates records in a JSON text sequence (RFC 7464), and packets in a payload of polling."""
_HAS_AN_ENVELOPE: Final = (ROW, b"[", b"42", _RECORD)
_NAMED: Final = {".gz": Packing.GZIP, ".zst": Packing.ZSTD}


class RawLine(msgspec.Struct, frozen=True, gc=False):
    """A line, not read yet; or one of several records in a line.

    Attributes:
        content: without blanks around it; of a line that is too long what quarantine gets.
        position: the position that it seems to speak of. A wrong one only costs time.
        status: the status that it seems to have then.
        offset: where its content begins in the file.
    """

    content: bytes | Rejected
    position: bytes
    status: bytes
    offset: int


class JsonLinesReader:
    """The lines of a file, and how far it has been read.

    Args:
        name: its path; ``-`` is standard input. Gzip and zstd are decompressed, whatever the
            name.

    Attributes:
        bytes_total: the size of the file; None if unknown.
        can_reread: whether a line can be read again, by its offset.
        may_stall_unseen: whether it is a compressed pipe: nothing says that it pauses.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bytes_total: int | None = None
        self.can_reread = False
        self._raw: io.BufferedReader
        self._unpacked: _Readable
        self._broken: Exception | None = None
        self.may_stall_unseen = False
        self._may_stall = False

    @property
    def bytes_read(self) -> int:
        """Bytes of the file itself (compressed, if it is) read so far."""
        return self._raw.tell() if self.bytes_total is not None else 0

    def __enter__(self) -> "JsonLinesReader":
        with ExitStack() as stack:
            try:
                if self.name == STANDARD_INPUT:
                    self._raw = _peekable(sys.stdin.buffer)
                else:
                    path = Path(self.name)
                    self._raw = stack.enter_context(path.open("rb"))
                    self.bytes_total = path.stat().st_size if path.is_file() else None
                first = self._raw.peek(kinds.FIRST_BYTES)
            except (OSError, ValueError) as error:
                cause = getattr(error, "strerror", None) or error
                raise ConfigurationError(
                    f"{self.name} cannot be read: {cause}.", remedy="Nothing was imported."
                ) from None
            self._unpacked = self._raw
            self.can_reread = self.bytes_total is not None
            if (packing := kinds.packing(first) or _NAMED.get(Path(self.name).suffix)) is not None:
                self.can_reread = False
                self._unpacked = unpacked = kinds.unpacked(self._raw, packing)
                stack.callback(unpacked.close)
                try:
                    first = unpacked.peek(kinds.FIRST_BYTES)
                except kinds.UNREADABLE as error:
                    first, self._broken = b"", error  # reported where its first line would be
            if (refused := kinds.refusal(first)) is not None:
                raise ConfigurationError(
                    f"{self.name} is {refused.is_}. Nothing was imported.", remedy=refused.remedy
                )
            if self.bytes_total is None:
                self.may_stall_unseen = packing is not None
                self._may_stall = packing is None and _has_descriptor(self._raw)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def read(self, offset: int, length: int) -> bytes:
        """Read a part of the file again, where ``can_reread``.

        Raises:
            PositionstoreError: it is no longer there, or cannot be read.
        """
        part = read_at(self._raw, offset, length, self.name)
        if len(part) != length:
            raise PositionstoreError(
                f"{self.name} became shorter while it was imported. A part of it is imported.",
                remedy="Run it again when nothing writes to the file.",
            )
        return part

    def chunks(self) -> Iterator[list[RawLine]]:
        """Yield the lines that are not blank, some at a time.

        Of a line that is longer than any envelope, only the beginning is kept. Where a pipe has
        nothing more just now, the lines so far are yielded; an empty list says that it pauses.

        Raises:
            PositionstoreError: the file cannot be read further, or a snapshot in it is incomplete.
        """
        chunk: list[RawLine] = []
        size = 0
        at_most = _LINES_LOOKED_AT if self.can_reread else _LINES_AT_A_TIME
        unreadable: PositionstoreError | None = None
        try:
            for number, offset, line in self._lines():
                if line is None:
                    if chunk:
                        yield chunk
                        chunk, size = [], 0
                    if self._has_nothing_for(_STALLED_AFTER):
                        yield []
                    continue
                if isinstance(line, Rejected):
                    size += len(line.raw)
                    chunk.append(RawLine(line, b"", b"", offset))
                else:
                    size += len(line)
                    self._add(line, offset, number, chunk)
                if len(chunk) >= at_most or size >= _BYTES_AT_A_TIME:
                    yield chunk
                    chunk, size = [], 0
        except PositionstoreError as error:
            unreadable = error  # raised when all that came before it is handed on
        if chunk:
            yield chunk
        if unreadable is not None:
            raise unreadable

    def _lines(self) -> Iterator[tuple[int, int, bytes | Rejected | None]]:
        """Yield each line without its end, after its number and its offset; None if none is there.

        Blocks are read and cut into lines: to ask for each line costs more than to look at it.
        """
        number, offset = 1, 0
        begun: list[bytes] = []
        block = self._block(number)
        while block:
            *lines, rest = block.split(b"\n")
            for line in lines:
                if begun:
                    line = b"".join((*begun, line))  # noqa: PLW2901 - its beginning was in the block before
                    begun = []
                if len(line) > LONGEST_ENVELOPE:
                    yield number, offset, self._checked(line, b"\n", number)
                else:
                    yield number, offset, line
                offset += len(line) + 1
                number += 1
            if rest:
                begun.append(rest)
            if len(begun) > 1 and sum(map(len, begun)) > _LONGEST_LINE:
                long, block = self._long(begun, number)
                begun = []
                yield number, offset, long.rejected(self.name, number)
                offset += long.length
                number += 1
            else:
                block = b""
            if not block:
                if self._has_nothing_for(0):
                    yield number, offset, None
                block = self._block(number)
        if begun:
            yield number, offset, self._checked(b"".join(begun), b"", number)

    def _long(self, begun: list[bytes], number: int) -> tuple[LongLine, bytes]:
        """Read a line that is too long up to its end; return what follows it in its last block."""
        long = LongLine(begun)
        while block := self._block(number):
            end = block.find(b"\n") + 1
            long.add(block[:end] if end else block)
            if end:
                return long, block[end:]
        return long, b""

    def _checked(self, line: bytes, end: bytes, number: int) -> bytes | Rejected:
        """Return a line, or what is kept of it if it is too long."""
        longest = LONGEST_ENVELOPE
        if line.startswith(_HAS_AN_ENVELOPE):
            longest += AROUND_AN_ENVELOPE
        if len(line.rstrip(b"\r")) <= longest:
            return line
        return LongLine([line, end]).rejected(self.name, number)

    def _has_nothing_for(self, milliseconds: int) -> bool:
        """Whether a pipe has nothing for some time; not where that cannot be seen."""
        if not self._may_stall:
            return False
        pipe = select.poll()
        pipe.register(self._raw, select.POLLIN)
        return not pipe.poll(milliseconds)

    def _block(self, number: int) -> bytes:
        """Return what comes next, in the line of this number; nothing at the end."""
        try:
            if self._broken is not None:
                raise self._broken
            return self._unpacked.read1(_BYTES_OF_A_BLOCK)
        except kinds.UNREADABLE as error:
            place = f"after line {number - 1}" if number > 1 else "at all"
            raise PositionstoreError(
                f"{self.name} cannot be read {place}: {error}.",
                remedy="What came before is imported; mend the file and run it again."
                if number > 1
                else "Nothing of it is imported; mend the file and run it again.",
            ) from None

    def _add(self, line: bytes, offset: int, number: int, chunk: list[RawLine]) -> None:
        """Add what is in a line to a chunk."""
        if number == 1 and line.startswith(_BOM):
            line, offset = line[len(_BOM) :], offset + len(_BOM)
        for part in line.split(_RECORD) if _RECORD in line else (line,):
            if content := part.strip(_BLANK):
                blanks = 0 if content is part else len(part) - len(part.lstrip(_BLANK))
                try:
                    position, status = subject_of(content)
                except IncompleteSnapshotError:
                    raise self._incomplete(number) from None
                chunk.append(RawLine(content, position, status, offset + blanks))
            offset += len(part) + 1

    def _incomplete(self, number: int) -> PositionstoreError:
        return PositionstoreError(
            f"{self.name}, line {number}: a snapshot without the supersedes_before that it had in "
            f"its log; with a guess the positions would be others. "
            f"{'What came before is' if number > 1 else 'Nothing of it is'} imported.",
            remedy="Export the log again, with `positionstore export events --format jsonl`.",
        )


def read_at(file: IO[bytes], offset: int, length: int, name: str) -> bytes:
    """Read a part of a file.

    Raises:
        PositionstoreError: it cannot be read.
    """
    try:
        return os.pread(file.fileno(), length, offset)
    except OSError as error:
        raise PositionstoreError(
            f"{name} cannot be read again: {error.strerror or error}. A part of it is imported.",
            remedy="See what is wrong with the disk, and run it again.",
        ) from None


def _has_descriptor(stream: io.BufferedReader) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return True


def _peekable(stream: IO[bytes]) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[arg-type] # anything with readinto() will do


class _Readable(Protocol):
    def peek(self, size: int, /) -> bytes: ...

    def read1(self, size: int, /) -> bytes: ...
