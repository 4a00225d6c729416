"""Files of JSON Lines, read some lines at a time, with no more memory than a few of them need."""

import gzip
import hashlib
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from positionstore.dimes.decoder import decode
from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.facts import LONGEST_ENVELOPE, Event, Reason, Rejected

STANDARD_INPUT: Final = "-"

_LINES_AT_A_TIME: Final = 2_000
_BYTES_AT_A_TIME: Final = 8 * 1024 * 1024
_KEPT_OF_A_LONG_LINE: Final = 64 * 1024
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


class Lines:
    """What a file's lines say, and how far it has been read.

    Args:
        name: its path; ``-`` is standard input, ``.gz`` is unpacked.

    Attributes:
        bytes_total: the size of the file; None where it is not known.
    """

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

    def __enter__(self) -> "Lines":
        try:
            if self.name == STANDARD_INPUT:
                self._raw = sys.stdin.buffer
            else:
                path = Path(self.name)
                self._raw = path.open("rb")
                self.bytes_total = path.stat().st_size if path.is_file() else None
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"{self.name} cannot be read: {cause}.", remedy="Nothing was imported."
            ) from None
        self._lines = gzip.open(self._raw, "rb") if self._packed else self._raw
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._packed:
            self._lines.close()
        if self.name != STANDARD_INPUT:
            self._raw.close()

    def chunks(self) -> Iterator[list[Event | Rejected]]:
        """Yield what the lines say that are not blank.

        Of a line that is longer than any envelope, however long it may be, its beginning is kept.

        Raises:
            PositionstoreError: the file cannot be read on.
        """
        chunk: list[Event | Rejected] = []
        size = number = 0
        unreadable: PositionstoreError | None = None
        while True:
            number += 1
            try:
                line = self._next_line(number)
            except PositionstoreError as error:
                unreadable = error  # raised when all that came before it is handed on
                break
            if not line:
                break
            if isinstance(line, Rejected):
                size += len(line.raw)
                chunk.append(line)
            else:
                size += len(line)
                if number == 1:
                    line = line.removeprefix(_BOM)
                if line := line.strip(_BLANK):
                    chunk.append(decode(line))
            if len(chunk) >= _LINES_AT_A_TIME or size >= _BYTES_AT_A_TIME:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk
        if unreadable is not None:
            raise unreadable

    def _next_line(self, number: int) -> bytes | Rejected:
        """Return a line; of one that is too long, no more than its beginning."""
        try:
            line = self._lines.readline(LONGEST_ENVELOPE + 2)  # with its end
            whole = len(line) <= LONGEST_ENVELOPE or line.endswith(b"\n")
            if whole and len(line.rstrip(b"\r\n")) <= LONGEST_ENVELOPE:
                return line
            length, digest, end = len(line), hashlib.sha256(line), line
            while end and not end.endswith(b"\n"):
                end = self._lines.readline(_BYTES_AT_A_TIME)
                length += len(end)
                digest.update(end)
        except (OSError, EOFError, zlib.error) as error:
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
