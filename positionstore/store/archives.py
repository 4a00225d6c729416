"""Archives in the database: facts leave the log for a file, and come back.

A position leaves whole, and what leaves it is what its fold does not need: the log keeps the fact
that its row shows, its latest snapshot and its retractions. So the row stays the fold of the facts
that are there, and a late fact is folded as ever. What is away is named by a fact of the log, by
``archives`` and by ``archived_positions``; the functions that look back ask the last.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import msgspec
import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import class_row

from positionstore.errors import PositionstoreError, StoreRefusedError
from positionstore.store import citus, feed, sequences
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.projection import drop_emptied, refold_positions
from positionstore.store.queries import queries

ARCHIVE_TYPE: Final = "archive"
"""The ``type`` of the fact that says which facts went where."""

RESTORATION_TYPE: Final = "restoration"
"""The ``type`` of the fact that says which came back."""

_FOLDED_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A position whose facts are in an archive, and when these were.

    Attributes:
        position_id: the position.
        facts: how many they are.
        first_created_at: the earliest ``created_at``, UTC.
        last_created_at: the latest.
        first_received_at: the earliest ``received_at``, UTC.
        last_received_at: the latest.
    """

    position_id: str
    facts: int
    first_created_at: datetime
    last_created_at: datetime
    first_received_at: datetime
    last_received_at: datetime


@dataclass(frozen=True, slots=True)
class Archive:
    """A file of facts; the attributes are the columns of ``archives``, and explained there."""

    archive_id: str
    file: str
    sha256: str
    digest: str
    ended_before: datetime
    positions: int
    facts: int
    first_seq: int
    last_seq: int
    first_created_at: datetime
    last_created_at: datetime
    first_received_at: datetime
    last_received_at: datetime
    archived_at: datetime

    @property
    def envelope(self) -> bytes:
        """The fact of the log that tells of it, in the form of an envelope."""
        data = asdict(self)
        del data["archive_id"], data["archived_at"]
        return _envelope(self.archive_id, ARCHIVE_TYPE, self.archived_at, data)


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back.

    Attributes:
        archive_id: the archive; as its store called it.
        file: the file that was read.
        positions: how many positions are whole again.
        facts: how many facts are in the file.
        returned: those that were not in the log.
        conflicting: those that came once more meanwhile and differ: they are in quarantine.
        back_since: when an earlier import had brought them back, UTC: then this one did nothing.
    """

    archive_id: str
    file: str
    positions: int
    facts: int
    returned: int
    conflicting: int
    back_since: datetime | None = None


class ChangedMeanwhileError(PositionstoreError):
    """A position got a fact meanwhile: nothing of this archive left the log, or came back."""


def archive_id(digest: str, at: datetime) -> str:
    """Return the id of the archive of these facts, made at a moment (UTC)."""
    return "arc_" + hashlib.sha256(f"{digest} {at.isoformat()}".encode()).hexdigest()[:32]


def require_owner(connection: psycopg.Connection) -> None:
    """See that this role may move facts.

    Raises:
        StoreRefusedError: it is the writer, or the reader.
    """
    if connection.execute(_query("may")).fetchone() != (True,):
        raise StoreRefusedError(
            "This role may not move facts out of the log or back.",
            remedy="Give DATABASE_URL of the owner of the tables, as for `positionstore migrate`.",
        )


def take_out(
    connection: psycopg.Connection,
    archive: Archive,
    marks: Sequence[Mark],
    digests: Mapping[str, str],
    *,
    read_until: int,
) -> int:
    """Record an archive and let its facts leave the log: one transaction.

    Appenders are held up only for the end of it. The database itself compares what leaves with what
    is recorded, and refuses what would change a fold.

    Args:
        connection: the owner's, in autocommit mode.
        archive: its file is on the disk, and proved.
        marks: its positions.
        digests: of the facts of each, by position.
        read_until: the newest ``seq`` when its facts were read.

    Returns:
        How many facts left.

    Raises:
        ChangedMeanwhileError: a fact of these positions came since; nothing has changed.
        PositionstoreError: the database refuses it, for the fold of a position would be another, as
            where its row is wrong; nothing has changed.
    """
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    values: dict[str, Any] = {
        "position_ids": [mark.position_id for mark in marks],
        "seq": read_until,
    }
    try:
        with _no_deadlock(), connection.transaction():
            citus.prepare(connection)
            connection.execute(_query("look_up_by_key"))
            connection.execute(_query("record"), asdict(archive))
            _mark(connection, archive, marks, digests)
            _unchanged(connection, values)
            take_out = _query("take_out").format(may_leave=_query("may_leave"))
            left = connection.execute(take_out, values).rowcount
            connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
            # What was committed before it was this one's turn.
            _unchanged(connection, values)
            at, envelope = archive.archived_at, archive.envelope
            _append(connection, archive.archive_id, ARCHIVE_TYPE, at, envelope)
    except psycopg.errors.RestrictViolation as error:
        # A fact that came while the others were deleted is no fault of a row.
        _unchanged(connection, values)
        raise _refused(error) from None
    citus.publish(connection)
    return left


def bring_back(
    connection: psycopg.Connection,
    name: str,
    digest: str,
    facts: Callable[[], Iterable[Sequence[Sequence[object]]]],
    at: datetime,
) -> Restored:
    """Put the facts of an archive back, each with the ``seq`` that it had: one transaction.

    Of an archive that the log of another store tells of, and that came here with that log, the
    facts get numbers of this log.

    Args:
        connection: the owner's, in autocommit mode.
        name: of the file, for messages.
        digest: of its facts.
        facts: reads them, rows in the order of the log's columns; it raises where they have
            another digest, and then nothing is changed.
        at: now, UTC.

    Raises:
        StoreRefusedError: it is none of this log's.
    """
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    returning = sql.Identifier("returning_facts")
    with _no_deadlock(), connection.transaction():
        citus.prepare(connection)
        with connection.cursor(row_factory=class_row(Archive)) as cursor:
            archive = cursor.execute(_query("standing"), {"digest": digest}).fetchone()
        imported = connection.execute(_query("imported"), {"digest": digest}).fetchone()
        if archive is None and imported is None:
            row = _brought_back(connection, digest)
            if row is None:
                raise _unknown(name)
            archive_id, back_since, number = row
            return Restored(archive_id, name, 0, number, 0, 0, back_since)
        called = archive.archive_id if archive is not None else str(imported and imported[0])
        connection.execute(_query("look_up_by_key"))
        connection.execute(_query("create_returning").format(returning=returning))
        count = 0
        with (
            connection.cursor() as copying,
            copying.copy(_query("copy_returning").format(returning=returning)) as copy,
        ):
            for some in facts():
                for fact in some:
                    copy.write_row(fact)
                count += len(some)
        found = connection.execute(_query("positions_returning").format(returning=returning))
        position_ids = [position_id for (position_id,) in found]
        if archive is None:
            connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
        conflicting = _count(
            connection,
            _query("keep_conflicts").format(returning=returning),
            {"position_ids": position_ids},
        )
        putting = "put_in" if archive is None else "put_back"
        returned = _count(connection, _query(putting).format(returning=returning))
        connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
        data = {"archive_id": called, "digest": digest, "facts": count, "returned": returned}
        restoration = "rst_" + called.removeprefix("arc_")
        envelope = _envelope(restoration, RESTORATION_TYPE, at, data)
        _append(connection, restoration, RESTORATION_TYPE, at, envelope)
        if archive is not None:
            connection.execute(_query("unmark"), {"archive_id": called})
            connection.execute(_query("restored"), {"archive_id": called, "at": at})
        for first in range(0, len(position_ids), _FOLDED_AT_ONCE):
            some_ids = position_ids[first : first + _FOLDED_AT_ONCE]
            refold_positions(connection, some_ids)
            drop_emptied(connection, some_ids)
    citus.publish(connection)
    return Restored(called, name, len(position_ids), count, returned, conflicting)


@contextmanager
def _no_deadlock() -> Iterator[None]:
    """Say what a deadlock is: an appender met one of these facts, and this gave way to it."""
    try:
        yield
    except psycopg.errors.DeadlockDetected:
        raise _changed() from None


def _mark(
    connection: psycopg.Connection,
    archive: Archive,
    marks: Sequence[Mark],
    digests: Mapping[str, str],
) -> None:
    """Record which positions are in an archive, and what of each."""
    with connection.cursor() as cursor, cursor.copy(_query("mark")) as copy:
        for mark in marks:
            copy.write_row(
                (
                    mark.position_id,
                    archive.archive_id,
                    mark.facts,
                    mark.first_created_at,
                    mark.last_created_at,
                    mark.first_received_at,
                    mark.last_received_at,
                    digests[mark.position_id],
                )
            )


def _refused(error: psycopg.Error) -> PositionstoreError:
    """Say what it means that the log lets none of these facts go."""
    cause = (error.diag.message_primary or str(error)).rstrip(".")
    where = (error.diag.message_detail or "").rstrip(".")
    return PositionstoreError(
        f"{cause} ({where}). These facts stay.",
        remedy="Its row is not the fold of its facts: see what `positionstore verify` says, put it "
        "right with `positionstore rebuild`, and run this again.",
    )


def _changed() -> ChangedMeanwhileError:
    return ChangedMeanwhileError(
        "A position got a fact while its facts were moved; nothing was changed.",
        remedy="Run it again.",
    )


def _unchanged(connection: psycopg.Connection, values: dict[str, Any]) -> None:
    if connection.execute(_query("younger"), values).fetchone() != (False,):
        raise _changed()


def _append(
    connection: psycopg.Connection, name: str, kind: str, at: datetime, envelope: bytes
) -> None:
    newest = connection.execute(queries("appender")["newest"]).fetchone()
    values = {"event_id": name, "type": kind, "at": at, "envelope": envelope.decode()}
    row = connection.execute(_query("append"), values).fetchone()
    seq = row[0] if row else 0
    sequences.check_order(seq, newest[0] if newest else None)
    feed.announce(connection, seq)


def _count(
    connection: psycopg.Connection, counting: sql.Composed, values: dict[str, Any] | None = None
) -> int:
    row = connection.execute(counting, values or {}).fetchone()
    return row[0] if row else 0


def require_known(connection: psycopg.Connection, name: str, digest: str) -> None:
    """See that the log tells of the archive of these facts, be they away or back.

    Raises:
        StoreRefusedError: it does not.
    """
    values = {"digest": digest}
    if not (
        connection.execute(_query("standing"), values).fetchone()
        or connection.execute(_query("imported"), values).fetchone()
        or _brought_back(connection, digest)
    ):
        raise _unknown(name)


def _brought_back(connection: psycopg.Connection, digest: str) -> tuple[str, datetime, int] | None:
    return connection.execute(_query("brought_back"), {"digest": digest}).fetchone()


def _unknown(name: str) -> StoreRefusedError:
    return StoreRefusedError(
        f"{name} is none of the archives that this log tells of. Nothing was changed.",
        remedy="Leave it out, or import it into the store that it came from, or one that its log "
        "was moved to.",
    )


def _envelope(name: str, kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"id": name, "type": kind, "created_at": at, "data": data})


def _query(name: LiteralString) -> sql.SQL:
    return queries("archives")[name]
