"""Archives as Parquet: all columns of facts, exact, and a digest that the database can make too.

The columns are those of ``positionstore export events --format parquet``, so that whatever reads
Parquet reads an archive. Needs the extra ``arrow``, and is imported only where it is used.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from positionstore.errors import ConfigurationError, PositionstoreError

FACTS_AT_ONCE: Final = 5_000
"""Facts of one row group, and in memory at a time."""

_ABOUT: Final = b"positionstore.archive"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BYTES_AT_ONCE: Final = 1 << 20
_MOMENT: Final = pa.timestamp("us", tz="UTC")
_SCHEMA: Final = pa.schema(
    [
        ("seq", pa.int64()),
        ("event_id", pa.string()),
        ("position_id", pa.string()),
        ("type", pa.string()),
        ("status", pa.string()),
        ("created_at", _MOMENT),
        ("received_at", _MOMENT),
        ("source", pa.string()),
        ("supersedes_before", _MOMENT),
        ("envelope", pa.string()),
        ("retracts", pa.string()),
    ]
)


class ArchivedFact(NamedTuple):
    """A row of the log, in the order of the table's columns; moments are UTC."""

    seq: int
    event_id: str
    position_id: str
    type: str
    status: str | None
    created_at: datetime
    received_at: datetime
    source: str
    supersedes_before: datetime | None
    envelope: str
    retracts: str | None


class About(msgspec.Struct, frozen=True):
    """What a file says of itself.

    Attributes:
        version: of this layout.
        digest: of its facts.
        positions: how many positions are in it.
        facts: how many facts are in it.
        ended_before: the moment that was given when it was written, UTC.
    """

    version: int
    digest: str
    positions: int
    facts: int
    ended_before: datetime


class Digest:
    """The digest of facts, added in the order of ``seq``: what SQL makes of ``fact_digest``.

    Attributes:
        facts: how many were added.
    """

    def __init__(self) -> None:
        self.facts = 0
        self._all = hashlib.sha256()
        self._newest: int | None = None

    def add(self, fact: ArchivedFact) -> None:
        """Add a fact.

        Raises:
            ValueError: it is not in the order of ``seq``.
        """
        if self._newest is not None and fact.seq <= self._newest:
            raise ValueError("facts are not in the order of seq")
        self._newest = fact.seq
        self.facts += 1
        self._all.update(hashlib.sha256(b"".join(map(_netstring, fact))).digest())

    def hexdigest(self) -> str:
        """Return it as text."""
        return self._all.hexdigest()


def _netstring(value: int | str | datetime | None) -> bytes:
    if value is None:
        return b"-,"
    if isinstance(value, datetime):
        value = (value - _EPOCH) // _MICROSECOND
    data = str(value).encode()
    return b"%d:%s," % (len(data), data)


class ArchiveWriter:
    """Writes a file beside its place; it is not seen before :meth:`keep`.

    Args:
        folder: where to.
    """

    def __init__(self, folder: Path) -> None:
        self.digest = Digest()
        self._folder = folder
        self._partial = folder / f".archive-{os.getpid()}.partial"

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb")
        except OSError as error:
            raise _unwritable(self._folder, error) from None
        self._writer = pq.ParquetWriter(self._file, _SCHEMA, compression="zstd")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def write(self, facts: Sequence[ArchivedFact]) -> None:
        """Write facts, which follow those before in the order of ``seq``."""
        for fact in facts:
            self.digest.add(fact)
        columns = [
            pa.array(values, field.type)
            for values, field in zip(zip(*facts, strict=True), _SCHEMA, strict=True)
        ]
        try:
            self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))
        except OSError as error:
            raise _unwritable(self._folder, error) from None

    def keep(self, about: About, name: str) -> Path:
        """Bring the file to the disk, give it its name, and return where it is."""
        path = self._folder / name
        try:
            self._writer.add_key_value_metadata({_ABOUT: msgspec.json.encode(about)})
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._partial.replace(path)
            number = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
        except OSError as error:
            raise _unwritable(self._folder, error) from None
        return path


class ArchiveReader:
    """Reads a file.

    Args:
        path: where it is.

    Attributes:
        about: what it says of itself.

    Raises:
        ConfigurationError: it cannot be read, or is no archive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                metadata = file.schema_arrow.metadata or {}
                written = (file.metadata.metadata or {}) | metadata
                is_ours = file.schema_arrow.remove_metadata().equals(_SCHEMA)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from None
        if _ABOUT not in written or not is_ours:
            raise ConfigurationError(
                f"{path} is Parquet, and no archive of `positionstore archive`.",
                remedy="Of a log, write JSON Lines: `positionstore export events --format jsonl`.",
            )
        try:
            self.about = msgspec.json.decode(written[_ABOUT], type=About)
        except msgspec.MsgspecError as error:
            raise _unreadable(path, error) from None

    def facts(self) -> Iterator[list[ArchivedFact]]:
        """Yield its facts in the order of ``seq``, some at a time.

        Raises:
            PositionstoreError: they cannot be read, or are not what the file says of itself.
        """
        digest = Digest()
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(FACTS_AT_ONCE):
                    columns = [column.to_pylist() for column in batch.columns]
                    facts = [ArchivedFact(*row) for row in zip(*columns, strict=True)]
                    for fact in facts:
                        digest.add(fact)
                    yield facts
        except (OSError, pa.ArrowException, ValueError) as error:
            raise PositionstoreError(
                f"{self._path} is damaged: {_words(error)}.", remedy=_ANOTHER_COPY
            ) from None
        if (digest.hexdigest(), digest.facts) != (self.about.digest, self.about.facts):
            raise PositionstoreError(
                f"{self._path} is damaged: its facts have another digest than it says.",
                remedy=_ANOTHER_COPY,
            )

    def prove(self) -> None:
        """Read all of it, as :meth:`facts` does."""
        for _ in self.facts():
            pass


def sha256_of(path: Path) -> str:
    """Return the digest of a file's bytes."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_BYTES_AT_ONCE):
                digest.update(piece)
    except OSError as error:
        raise _unreadable(path, error) from None
    return digest.hexdigest()


_ANOTHER_COPY: Final = "Nothing was changed; take another copy of it."


def _words(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _unreadable(path: Path, error: Exception) -> ConfigurationError:
    cause = getattr(error, "strerror", None) or _words(error)
    return ConfigurationError(f"{path} cannot be read: {cause}.", remedy=_ANOTHER_COPY)


def _unwritable(folder: Path, error: OSError) -> PositionstoreError:
    return PositionstoreError(
        f"{folder} cannot be written: {error.strerror or error}.",
        remedy="Nothing left the log; give --to another place.",
    )
