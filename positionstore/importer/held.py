"""What was read and is not committed yet, held outside memory."""

import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, overload

from positionstore.dimes.decoder import decode
from positionstore.errors import PositionstoreError
from positionstore.facts import Event, Received, Rejected, Source

_BYTES_OF_A_FILE: Final = 64 * 1024 * 1024
_REJECTED: Final = -1


class HeldLines(Sequence[Received]):
    """Lines of a file, as the log takes them: in memory until they are put away.

    Put away, their envelopes lie in a temporary file, and are read from there, all of them, each
    time that they are asked for. A line that is no event stays in memory: so it does for
    quarantine anyway.

    Args:
        lines: what they say.
        received_at: when they reached this process, UTC.
    """

    def __init__(self, lines: Sequence[Event | Rejected], received_at: datetime) -> None:
        self._received_at = received_at
        self._lines: list[Received] | None = [self._received(line) for line in lines]
        self._count = len(lines)
        self._lengths = array("q")
        self._rejected: list[Rejected] = []
        self._file: _File
        self._offset = 0

    def put_away(self, scratch: "Scratch") -> None:
        """Let memory go.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        envelopes = []
        for line in self._lines or ():
            if isinstance(line.what, Rejected):
                self._lengths.append(_REJECTED)
                self._rejected.append(line.what)
            else:
                self._lengths.append(len(line.what.envelope))
                envelopes.append(line.what.envelope)
        self._file, self._offset = scratch.add(b"".join(envelopes))
        self._lines = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Received]:
        return iter(self._lines) if self._lines is not None else self._read_again()

    @overload
    def __getitem__(self, index: int) -> Received: ...

    @overload
    def __getitem__(self, index: slice) -> list[Received]: ...

    def __getitem__(self, index: int | slice) -> Received | list[Received]:
        return list(self)[index]

    def _read_again(self) -> Iterator[Received]:
        offset, rejected = self._offset, iter(self._rejected)
        for length in self._lengths:
            if length == _REJECTED:
                yield self._received(next(rejected))
            else:
                yield self._received(decode(self._file.read(offset, length)))
                offset += length

    def _received(self, line: Event | Rejected) -> Received:
        return Received(line, self._received_at, Source.IMPORT)


class Scratch:
    """Temporary files, each deleted when the last that lies in it is no longer held."""

    def __init__(self) -> None:
        self._file: _File | None = None

    def add(self, content: bytes) -> tuple["_File", int]:
        """Write; return where it lies.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        try:
            if self._file is None or self._file.size >= _BYTES_OF_A_FILE:
                self._file = _File()
            return self._file, self._file.add(content)
        except OSError as error:
            raise PositionstoreError(
                f"A temporary file cannot be written: {error.strerror or error}.",
                remedy="Point TMPDIR at a folder with room for a gigabyte, and run it again.",
            ) from None


class _File:
    """A file without a name, which the system deletes whatever becomes of this process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - held as long as what lies in it
        self.size = 0
        weakref.finalize(self, self._file.close)

    def add(self, content: bytes) -> int:
        offset, self.size = self.size, self.size + len(content)
        self._file.seek(offset)
        self._file.write(content)
        self._file.flush()
        return offset

    def read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
