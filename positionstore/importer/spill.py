"""Keeps uncommitted lines outside memory."""

import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, overload

import msgspec

from positionstore.dimes.decoder import decode
from positionstore.errors import PositionstoreError
from positionstore.importer.logged import Line, Logged, retraction_of
from positionstore.model.facts import Event, Received, Rejected, Retraction, Source

_BYTES_OF_A_FILE: Final = 64 * 1024 * 1024
_REJECTED: Final = -1
_HEAD: Final = -2
"""A negative length marks the fields before an envelope."""


class SpilledBatch(Sequence[Received]):
    """Lines of a file for the log: in memory until they are spilled.

    Spilled envelopes are in a temporary file and are read from there each time they are needed.
    Invalid lines stay in memory, since quarantine needs them anyway.

    Args:
        lines: the lines.
        received_at: when this process read them, UTC.
    """

    def __init__(self, lines: Sequence[Line], received_at: datetime) -> None:
        self._received_at = received_at
        self._lines: list[Received] | None = [self._received(line) for line in lines]
        self._count = len(lines)
        self._lengths = array("q")
        self._rejected: list[Rejected] = []
        self._file: _File
        self._offset = 0

    def put_away(self, scratch: "TempFile") -> None:
        """Move the envelopes to disk.

        Raises:
            PositionstoreError: there is no room for temporary files.
        """
        pieces = []
        for line in self._lines or ():
            if isinstance(line.what, Rejected):
                self._lengths.append(_REJECTED)
                self._rejected.append(line.what)
                continue
            if line.received_at is not self._received_at or isinstance(line.what, Retraction):
                # A log row: the fields outside its envelope come first.
                head = _heads.encode(
                    _Head(
                        line.received_at,
                        line.source,
                        line.supersedes_before,
                        isinstance(line.what, Retraction),
                    )
                )
                self._lengths.append(_HEAD - len(head))
                pieces.append(head)
            self._lengths.append(len(line.what.envelope))
            pieces.append(line.what.envelope)
        self._file, self._offset = scratch.add(b"".join(pieces))
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
        head: _Head | None = None
        for length in self._lengths:
            if length == _REJECTED:
                yield self._received(next(rejected))
            elif length <= _HEAD:
                head = _head_decoder.decode(self._file.read(offset, _HEAD - length))
                offset += _HEAD - length
            else:
                what = decode(self._file.read(offset, length))
                offset += length
                yield self._received(what if head is None else _logged(what, head))
                head = None

    def _received(self, line: Line) -> Received:
        return received(line, self._received_at)


def received(line: Line, at: datetime) -> Received:
    """Return the fact of a line, received at a time (UTC)."""
    if not isinstance(line, Logged):
        return Received(line, at, Source.IMPORT)
    # A clock that is ahead of ours is not believed: what is not yet cannot have been received.
    received_at = at if line.received_at is None else min(line.received_at, at)
    return Received(line.what, received_at, line.source, line.supersedes_before)


class _Head(msgspec.Struct, array_like=True):
    """The fields of a log row beside its envelope."""

    received_at: datetime
    source: Source
    supersedes_before: datetime | None
    retraction: bool


_heads: Final = msgspec.msgpack.Encoder()
_head_decoder: Final = msgspec.msgpack.Decoder(_Head)


def _logged(what: Event | Rejected, head: _Head) -> Line:
    if isinstance(what, Rejected):
        return what
    fact = (retraction_of(what) if head.retraction else None) or what
    return Logged(fact, head.received_at, head.source, head.supersedes_before)


class TempFile:
    """Temporary files, each deleted when its last contents are released."""

    def __init__(self) -> None:
        self._file: _File | None = None

    def add(self, content: bytes) -> tuple["_File", int]:
        """Write; return the place.

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
    """An unnamed file, which the system deletes when this process ends."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as its contents are needed
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
