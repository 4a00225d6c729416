"""Archives as Parquet: all columns of facts, exact, and a digest that the database can make too.

The columns are those of ``positionstore export events --format parquet``, so that any tool for
Parquet reads an archive. Needs the extra ``arrow``, and is imported only where it is used.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from positionstore.errors import ConfigurationError, PositionstoreError, first_line
from positionstore.files import sync_folder

FACTS_AT_ONCE: Final = 5_000
"""Facts of one row group, and in memory at a time."""

_ABOUT: Final = b"positionstore.archive"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BYTES_AT_ONCE: Final = 1 << 20
_JUST_OPENED: Final = 60
"""Seconds in which a file may be open and its lock not taken yet."""

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
        self._of_positions: dict[str, hashlib._Hash] = {}

    def add(self, fact: ArchivedFact) -> None:
        """Add a fact."""
        self.facts += 1
        digest = hashlib.sha256(b"".join(map(_netstring, fact))).digest()
        self._all.update(digest)
        self._of_positions.setdefault(fact.position_id, hashlib.sha256()).update(digest)

    def hexdigest(self) -> str:
        """Return it as text."""
        return self._all.hexdigest()

    def by_position(self) -> dict[str, str]:
        """Return the same of the facts of each position alone."""
        return {name: digest.hexdigest() for name, digest in self._of_positions.items()}


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
        self._partial = folder / f".archive-{secrets.token_hex(8)}.partial"

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("xb")
        except OSError as error:
            raise _unwritable(self._folder, error) from None
        # Held while it is written, so that remove_abandoned() leaves it alone. Some network file
        # systems have no locks: there a file that is half written stays.
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_EX)
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
            sync_folder(self._folder)
        except OSError as error:
            raise _unwritable(self._folder, error) from None
        return path


def remove_abandoned(folder: Path) -> None:
    """Remove what writers that were killed have left half written in a folder."""
    for partial in folder.glob(".archive-*.partial"):
        # A file that another holds or has just given its name, or that is not ours to remove.
        with suppress(OSError), partial.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(file.fileno()).st_mtime > _JUST_OPENED:
                partial.unlink()


class ArchiveReader:
    """Reads a file, also one that another tool rewrote from an archive.

    Args:
        path: where it is.

    Attributes:
        rows: how many facts it has.

    Raises:
        ConfigurationError: it cannot be read, or is no archive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self.rows: int = file.metadata.num_rows
                names, written = file.schema_arrow.names, file.metadata.metadata or {}
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from None
        if names != _SCHEMA.names:
            raise ConfigurationError(
                f"{path} is Parquet, and no archive of `positionstore archive`.",
                remedy="Of a log, write JSON Lines: `positionstore export events --format jsonl`.",
            )
        try:
            self._about = (
                msgspec.json.decode(written[_ABOUT], type=About) if _ABOUT in written else None
            )
        except msgspec.MsgspecError as error:
            raise _unreadable(path, error) from None

    def prove(self) -> Digest:
        """Read all of it; return the digest of its facts.

        Raises:
            PositionstoreError: they cannot be read, or are not what the file says of itself.
        """
        digest = Digest()
        for facts in self._facts():
            for fact in facts:
                digest.add(fact)
        if self._about is not None and (digest.hexdigest(), digest.facts) != (
            self._about.digest,
            self._about.facts,
        ):
            raise self._damaged("its facts have another digest than it says")
        return digest

    def facts(self, digest: str) -> Iterator[list[ArchivedFact]]:
        """Yield its facts in the order of ``seq``, some at a time.

        Args:
            digest: what :meth:`prove` found, as text.

        Raises:
            PositionstoreError: they are others than then.
        """
        again = Digest()
        for facts in self._facts():
            for fact in facts:
                again.add(fact)
            yield facts
        if again.hexdigest() != digest:
            raise self._damaged("it changed while it was read")

    def _facts(self) -> Iterator[list[ArchivedFact]]:
        newest = 0
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(FACTS_AT_ONCE):
                    columns = [
                        column.cast(field.type).to_pylist()
                        for column, field in zip(batch.columns, _SCHEMA, strict=True)
                    ]
                    facts = [ArchivedFact(*row) for row in zip(*columns, strict=True)]
                    for fact in facts:
                        if fact.seq <= newest:
                            raise self._damaged("its facts are not in the order of seq")
                        newest = fact.seq
                    yield facts
        except (OSError, pa.ArrowException, ValueError) as error:
            raise self._damaged(first_line(error).rstrip(".")) from None

    def _damaged(self, how: str) -> PositionstoreError:
        return PositionstoreError(f"{self._path} is damaged: {how}.", remedy=_ANOTHER_COPY)


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


def _unreadable(path: Path, error: Exception) -> ConfigurationError:
    cause = getattr(error, "strerror", None) or first_line(error).rstrip(".")
    return ConfigurationError(f"{path} cannot be read: {cause}.", remedy=_ANOTHER_COPY)


def _unwritable(folder: Path, error: OSError) -> PositionstoreError:
    return PositionstoreError(
        f"{folder} cannot be written: {error.strerror or error}.",
        remedy="Nothing left the log; give --to another place.",
    )
