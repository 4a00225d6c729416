"""Records what was emitted and what happened to it: the truth that tests compare with."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from positionstore.errors import ConfigurationError

Fate = Literal["delivered", "unheard", "lost"]


class Record(msgspec.Struct, frozen=True):
    """One sending of one event.

    Attributes:
        at: when it was sent by the server's clock (for a lost one: when it happened),
            microseconds since 1970.
        fate: ``delivered`` to at least one connected client, ``unheard`` because none was
            connected that may see it, or ``lost``: never sent at all.
        copy: 0 for an event's first sending, 1 for its duplicate.
        recipients: the session ids of the clients it was handed to.
        envelope: the envelope's JSON as it was sent; text that is no JSON is kept in a string.
    """

    at: int
    fate: Fate
    copy: int
    recipients: list[str]
    event_id: str
    type: str
    position_id: str
    partner: int
    wallet: str
    envelope: msgspec.Raw


class Recorder:
    """Keeps records in memory, in a file, or both.

    Args:
        path: the JSON Lines file to write, or None.
        keep: whether they are kept in memory.

    Raises:
        ConfigurationError: the file cannot be written.
    """

    def __init__(self, path: Path | None, *, keep: bool) -> None:
        self.records: list[Record] = []
        self.counts: dict[Fate, int] = {"delivered": 0, "unheard": 0, "lost": 0}
        self._keep = keep
        self._encoder = msgspec.json.Encoder()
        self._file: BinaryIO | None = None
        if path is not None:
            try:
                self._file = path.open("wb")
            except OSError as error:
                raise ConfigurationError(
                    f"Cannot write the recording {path}: {error.strerror}.",
                    remedy="Give --record a file in a directory that can be written to.",
                ) from None

    def add(self, record: Record) -> None:
        """Add a record."""
        self.counts[record.fate] += 1
        if self._keep:
            self.records.append(record)
        if self._file is not None:
            self._file.write(self._encoder.encode(record) + b"\n")

    def flush(self) -> None:
        """Flush the file, so that readers see everything."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def raw(text: str) -> msgspec.Raw:
    """An envelope's text as it goes into a record: as it is, or as a string if it is no JSON."""
    data = text.encode(errors="surrogatepass")
    with suppress(msgspec.DecodeError):
        msgspec.json.decode(data, type=msgspec.Raw)
        if b"\n" not in data:
            return msgspec.Raw(data)
    return msgspec.Raw(msgspec.json.encode(data.decode(errors="replace")))


def read(path: Path) -> Iterator[Record]:
    """Read a recording back."""
    with path.open("rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Record)
