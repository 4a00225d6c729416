"""Brings archives of ``positionstore archive`` back into the log."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from positionstore.extras import arrow_needed
from positionstore.store import archives, sequences
from positionstore.store.archives import Restored
from positionstore.store.database import Store
from positionstore.store.locks import REBUILD_LOCK, session_lock

_MAGIC: Final = b"PAR1"


def are_archives(names: Sequence[str]) -> bool:
    """Whether these files are Parquet, which only archives may be.

    If only some are, this is False, and the import of lines refuses them by name.
    """
    return bool(names) and all(map(_is_parquet, names))


def bring_back(
    store: Store,
    names: Sequence[str],
    *,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> list[Restored]:
    """Bring the facts of archives back into the log, each file in one transaction.

    Every file is read completely and compared with its digest before anything changes. A file whose
    facts are back already is skipped.

    Args:
        store: the store, as the owner of its tables.
        names: paths.
        now: the current time, UTC.
        progress: called with how many facts were read, and of how many.

    Raises:
        ConfigurationError: a file cannot be read, or is not an archive; nothing has changed.
        PositionstoreError: a file is damaged; nothing has changed.
        StoreRefusedError: this role does not own the tables, or a file is of another log; nothing
            has changed.
    """
    with arrow_needed():
        from positionstore.store import archive_file  # noqa: PLC0415 - it needs an extra

    readers = [(name, archive_file.ArchiveReader(Path(name))) for name in names]
    total, read = sum(reader.rows for _, reader in readers), 0
    done = []
    with store.connect() as connection:
        archives.require_owner(connection)
        sequences.align(connection, sequences.OF_THE_LOG)
        digests = [reader.prove().hexdigest() for _, reader in readers]
        for (name, _), digest in zip(readers, digests, strict=True):
            archives.require_known(connection, name, digest)
        for (name, reader), digest in zip(readers, digests, strict=True):
            facts = partial(reader.facts, digest)
            with session_lock(connection, REBUILD_LOCK):
                restored = archives.bring_back(connection, name, digest, facts, now)
            done.append(restored)
            read += restored.facts
            if progress is not None:
                progress(read, total)
    return done


def _is_parquet(name: str) -> bool:
    try:
        with Path(name).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
