"""Moves facts of positions that ended long ago out of the log into files.

A crash at any point loses nothing: a file is written, synced to disk, read back and compared; only
then, in one transaction, its facts leave the log and a fact records that. A file without its
transaction does no harm; the next run writes it again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg
from psycopg import IsolationLevel, sql

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.extras import arrow_needed
from positionstore.store import archives, engine, sequences
from positionstore.store.archives import Archive, ChangedMeanwhileError, Mark
from positionstore.store.database import Store
from positionstore.store.locks import REBUILD_LOCK, session_lock
from positionstore.store.queries import queries

YOUNGEST: Final = timedelta(days=30)
"""Facts younger than this stay: the vendor may still correct them, and readers may lag behind."""

POSITIONS_OF_A_FILE: Final = 20_000
"""Positions of a file at most: what one transaction takes out."""

FACTS_OF_A_FILE: Final = 500_000
"""Facts of a file at most, where a position has no more of its own."""

_ANOTHER_DISK: Final = "Nothing left the log; give --to another place."


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was moved, or in a dry run would be.

    Attributes:
        before: the given time, UTC.
        dry_run: whether nothing was written.
        positions: positions whose facts are now in a file.
        facts: facts in files.
        left: those that left the log; None in a dry run.
        bytes: the size of the files; in a dry run, of the envelopes as stored.
        passed_over: positions that got a fact meanwhile; left for the next run.
        files: the files written.
    """

    before: datetime
    dry_run: bool
    positions: int
    facts: int
    left: int | None
    bytes: int
    passed_over: int
    files: tuple[str, ...]


def archive(
    store: Store,
    folder: Path,
    *,
    before: datetime,
    now: datetime,
    limit: int | None = None,
    dry_run: bool = False,
    positions_of_a_file: int = POSITIONS_OF_A_FILE,
    facts_of_a_file: int = FACTS_OF_A_FILE,
    progress: Callable[[int, int], None] | None = None,
) -> Done:
    """Move the facts of positions that ended long ago into files.

    Args:
        store: the store, as the owner of its tables.
        folder: the folder; created if missing.
        before: only positions all of whose facts were created and received before this, UTC.
        now: the current time, UTC.
        limit: the maximum number of positions.
        dry_run: whether to only count.
        positions_of_a_file: the maximum number of positions per file.
        facts_of_a_file: the maximum number of facts per file, except for a single position.
        progress: called with how many candidates were checked, and of how many.

    Raises:
        ConfigurationError: ``before`` is too recent, or Parquet support is missing.
        StoreRefusedError: this role does not own the tables.
        PositionstoreError: a file cannot be written, or differs when read back, or the row of a
            position is not the fold of its facts; what was to go into this file stays.
    """
    if before > now - YOUNGEST:
        raise ConfigurationError(
            f"--before {before.isoformat()} is less than {YOUNGEST.days} days ago.",
            remedy="Facts stay in the log that long: the vendor may still correct them.",
        )
    with arrow_needed():
        import pyarrow  # noqa: F401, PLC0415 - seen to be there before anything is done
    with store.connect() as reader, store.connect() as writer:
        archives.require_owner(writer)
        work = _Work(reader, writer, folder, before, now)
        if not dry_run:
            work.tidy()
        with work.candidates() as total:
            done = 0
            while done < total and (limit is None or work.positions < limit):
                window = (done, min(done + positions_of_a_file, total))
                with nullcontext() if dry_run else session_lock(writer, REBUILD_LOCK):
                    some = work.eligible(window)
                    if limit is not None:
                        some = some[: limit - work.positions]
                    if dry_run:
                        work.count(some)
                    else:
                        for part in _parts(some, facts_of_a_file):
                            work.move(part)
                done = window[1]
                if progress is not None:
                    progress(done, total)
    return Done(
        before=before,
        dry_run=dry_run,
        positions=work.positions,
        facts=work.facts,
        left=None if dry_run else work.left,
        bytes=work.bytes,
        passed_over=work.passed_over,
        files=tuple(work.files),
    )


@dataclass(frozen=True, slots=True)
class _Eligible:
    mark: Mark
    bytes: int


def _parts(some: Sequence[_Eligible], facts_of_a_file: int) -> Iterator[list[Mark]]:
    part: list[Mark] = []
    facts = 0
    for each in some:
        if part and facts + each.mark.facts > facts_of_a_file:
            yield part
            part, facts = [], 0
        part.append(each.mark)
        facts += each.mark.facts
    if part:
        yield part


class _Work:
    """A run and its results so far."""

    def __init__(
        self,
        reader: psycopg.Connection,
        writer: psycopg.Connection,
        folder: Path,
        before: datetime,
        now: datetime,
    ) -> None:
        self.positions = self.facts = self.left = self.bytes = self.passed_over = 0
        self.files: list[str] = []
        self._reader, self._writer = reader, writer
        self._folder, self._before, self._now = folder, before, now
        self._candidates = sql.Identifier("archive_candidates")
        sequences.align(writer, sequences.OF_THE_LOG)

    @contextmanager
    def candidates(self) -> Iterator[int]:
        """Find the positions that ended before the time; yield their number."""
        execute = self._reader.execute
        found = execute(self._query("find_candidates"), {"before": self._before})
        try:
            execute(self._query("index_candidates"))
            yield found.rowcount
        finally:
            if not self._reader.broken:
                execute(self._query("drop_candidates"))

    def tidy(self) -> None:
        """Remove from the folder what runs that were killed have left half written."""
        from positionstore.store import archive_file  # noqa: PLC0415 - it needs an extra

        archive_file.remove_abandoned(self._folder)

    def eligible(self, window: tuple[int, int]) -> list[_Eligible]:
        """Return the candidates that can be moved."""
        found = self._reader.execute(
            self._query("eligible"),
            {"after": window[0], "until": window[1], "before": self._before},
        )
        return [_Eligible(Mark(*row[:-1]), row[-1]) for row in found]

    def count(self, some: Sequence[_Eligible]) -> None:
        """Count what would be moved."""
        self.positions += len(some)
        self.facts += sum(each.mark.facts for each in some)
        self.bytes += sum(each.bytes for each in some)

    def move(self, marks: Sequence[Mark]) -> None:
        """Write a file, check it, and remove its facts from the log."""
        made, digests, path, read_until = self._written(marks)
        try:
            left = archives.take_out(self._writer, made, marks, digests, read_until=read_until)
        except ChangedMeanwhileError:
            path.unlink()
            self.passed_over += len(marks)
            return
        except PositionstoreError:
            path.unlink()
            raise
        self.positions += made.positions
        self.facts += made.facts
        self.left += left
        self.bytes += path.stat().st_size
        self.files.append(path.name)

    def _written(self, marks: Sequence[Mark]) -> tuple[Archive, dict[str, str], Path, int]:
        from positionstore.store import archive_file  # noqa: PLC0415 - it needs an extra

        position_ids = [mark.position_id for mark in marks]
        first_seq = last_seq = None
        with archive_file.ArchiveWriter(self._folder) as file:
            self._reader.isolation_level = IsolationLevel.REPEATABLE_READ
            with self._reader.transaction(), self._reader.cursor(name="archived_facts") as cursor:
                row = self._reader.execute(queries("archives")["newest"]).fetchone()
                read_until = row[0] if row else 0
                cursor.execute(queries("archives")["facts_of"], {"position_ids": position_ids})
                while rows := cursor.fetchmany(archive_file.FACTS_AT_ONCE):
                    facts = [archive_file.ArchivedFact(*fact) for fact in rows]
                    file.write(facts)
                    first_seq = facts[0].seq if first_seq is None else first_seq
                    last_seq = facts[-1].seq
            digest = file.digest.hexdigest()
            about = archive_file.About(1, digest, len(marks), file.digest.facts, self._before)
            name = f"archive-{self._before:%Y%m%d}-{digest[:16]}.parquet"
            path = file.keep(about, name)
        if archive_file.ArchiveReader(path).prove().hexdigest() != digest:
            raise PositionstoreError(f"{path} is not what was written.", remedy=_ANOTHER_DISK)
        if first_seq is None or last_seq is None:
            raise AssertionError("an eligible position has facts")
        made = Archive(
            archive_id=archives.archive_id(digest, self._now),
            file=name,
            sha256=archive_file.sha256_of(path),
            digest=digest,
            ended_before=self._before,
            positions=len(marks),
            facts=about.facts,
            first_seq=first_seq,
            last_seq=last_seq,
            first_created_at=min(mark.first_created_at for mark in marks),
            last_created_at=max(mark.last_created_at for mark in marks),
            first_received_at=min(mark.first_received_at for mark in marks),
            last_received_at=max(mark.last_received_at for mark in marks),
            archived_at=self._now,
        )
        return made, file.digest.by_position(), path, read_until

    def _query(self, name: str) -> sql.Composed:
        ours = queries("archives")
        return ours[name].format(
            candidates=self._candidates,
            may_leave=ours["may_leave"],
            **engine.hints(self._reader),
        )
