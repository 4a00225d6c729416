"""Reads JSON Lines files some lines at a time, with bounded memory."""

import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, Protocol

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.importer import kinds
from positionstore.importer.kinds import Packing
from positionstore.importer.logged import (
    AROUND_AN_ENVELOPE,
    ROW,
    IncompleteSnapshotError,
    Line,
    read_line,
)
from positionstore.model.facts import LONGEST_ENVELOPE, Reason, Rejected

STANDARD_INPUT: Final = "-"

_LINES_AT_A_TIME: Final = 2_000
_BYTES_AT_A_TIME: Final = 8 * 1024 * 1024
_KEPT_OF_A_LONG_LINE: Final = 64 * 1024
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_RECORD: Final = b"\x1e"
"""Separates records in a JSON text sequence (RFC 7464), and packets in a payload of polling."""
_HAS_AN_ENVELOPE: Final = (ROW, b"[", b"42", _RECORD)
_NAMED: Final = {".gz": Packing.GZIP, ".zst": Packing.ZSTD}


class JsonLinesReader:
    """The lines of a file, and how far it has been read.

    Args:
        name: its path; ``-`` is standard input. Gzip and zstd are decompressed, whatever the
            name.

    Attributes:
        bytes_total: the size of the file; None if unknown.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bytes_total: int | None = None
        self._raw: io.BufferedReader
        self._lines: _Readable
        self._broken: Exception | None = None

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
            self._lines = self._raw
            if (packing := kinds.packing(first) or _NAMED.get(Path(self.name).suffix)) is not None:
                self._lines = unpacked = kinds.unpacked(self._raw, packing)
                stack.callback(unpacked.close)
                try:
                    first = unpacked.peek(kinds.FIRST_BYTES)
                except kinds.UNREADABLE as error:
                    first, self._broken = b"", error  # reported where its first line would be
            if (refused := kinds.refusal(first)) is not None:
                raise ConfigurationError(
                    f"{self.name} is {refused.is_}. Nothing was imported.", remedy=refused.remedy
                )
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def chunks(self) -> Iterator[list[Line]]:
        """Yield the contents of lines that are not blank.

        Of a line that is longer than any envelope, only the beginning is kept.

        Raises:
            PositionstoreError: the file cannot be read further, or a snapshot in it is incomplete.
        """
        chunk: list[Line] = []
        size = number = 0
        unreadable: PositionstoreError | None = None
        while True:
            number += 1
            try:
                line = self._next_line(number)
                if not line:
                    break
                if isinstance(line, Rejected):
                    size += len(line.raw)
                    chunk.append(line)
                else:
                    size += len(line)
                    self._read(line, number, chunk)
            except PositionstoreError as error:
                unreadable = error  # raised when all that came before it is handed on
                break
            if len(chunk) >= _LINES_AT_A_TIME or size >= _BYTES_AT_A_TIME:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk
        if unreadable is not None:
            raise unreadable

    def _read(self, line: bytes, number: int, chunk: list[Line]) -> None:
        """Read a line, if it is not blank, into a chunk."""
        if number == 1:
            line = line.removeprefix(_BOM)
        try:
            if _RECORD in line:
                parts = (part.strip(_BLANK) for part in line.split(_RECORD))
                chunk += [read_line(part) for part in parts if part]
            elif line := line.strip(_BLANK):
                chunk.append(read_line(line))
        except IncompleteSnapshotError:
            raise self._incomplete(number) from None

    def _incomplete(self, number: int) -> PositionstoreError:
        return PositionstoreError(
            f"{self.name}, line {number}: a snapshot without the supersedes_before that it had in "
            f"its log; with a guess the positions would be others. "
            f"{'What came before is' if number > 1 else 'Nothing of it is'} imported.",
            remedy="Export the log again, with `positionstore export events --format jsonl`.",
        )

    def _next_line(self, number: int) -> bytes | Rejected:
        """Return a line; only the beginning if it is too long."""
        try:
            if self._broken is not None:
                raise self._broken
            line = self._lines.readline(LONGEST_ENVELOPE + 2)  # with its end
            if len(line) <= LONGEST_ENVELOPE:
                return line
            longest = LONGEST_ENVELOPE
            if line.startswith(_HAS_AN_ENVELOPE):
                longest += AROUND_AN_ENVELOPE
                if not line.endswith(b"\n"):
                    line += self._lines.readline(AROUND_AN_ENVELOPE)
            whole = len(line) <= longest or line.endswith(b"\n")
            if whole and len(line.rstrip(b"\r\n")) <= longest:
                return line
            length, digest, end = len(line), hashlib.sha256(line), line
            while end and not end.endswith(b"\n"):
                end = self._lines.readline(_BYTES_AT_A_TIME)
                length += len(end)
                digest.update(end)
        except kinds.UNREADABLE as error:
            place = f"after line {number - 1}" if number > 1 else "at all"
            raise PositionstoreError(
                f"{self.name} cannot be read {place}: {error}.",
                remedy="What came before is imported; mend the file and run it again."
                if number > 1
                else "Nothing of it is imported; mend the file and run it again.",
            ) from None
        beginning = line[:_KEPT_OF_A_LONG_LINE]
        detail = (
            f"It has {length:,} bytes, and an envelope {LONGEST_ENVELOPE:,} at most. These are its "
            f"first {len(beginning):,}; the rest is in {self.name}, line {number}."
        )
        return Rejected(beginning, Reason.TOO_LONG, detail, digest.digest())


def _peekable(stream: IO[bytes]) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[arg-type] # anything with readinto() will do


class _Readable(Protocol):
    def peek(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...
