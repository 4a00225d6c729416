"""Appending facts to the log, and projecting them, in one transaction.

A batch is staged first (``COPY`` into a temporary table, which blocks no one)
and then committed: under the appenders' lock it goes into the log, is projected, and listeners
are told. A crash or an error at any point leaves the database as it was.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import psycopg
from psycopg import IsolationLevel

from positionstore.model.facts import (
    SNAPSHOT_TYPE,
    Reason,
    Received,
    Rejected,
    Retraction,
    Snapshot,
    Source,
)
from positionstore.store import citus, pooler, sequences
from positionstore.store import retractions as retracting
from positionstore.store.engine import hinted, is_distributed
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.projection import project_events, refold_positions
from positionstore.store.quarantine import Entry, keep
from positionstore.store.queries import queries
from positionstore.store.staging import IncomingRows

CHANNEL = "positionstore"
"""Where a committed batch is announced, with its highest ``seq``."""

_FEW = 1_000
"""Events that are projected by one plan for all such batches; to make a plan takes longer."""

_REFOLDED_AT_ONCE = 1_000
"""Positions of imported snapshots that one statement folds."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch.

    Attributes:
        received: the inputs in it.
        appended: facts that are new in the log.
        duplicates: events that the log had already.
        quarantined: inputs that are in quarantine now.
        positions: rows of ``positions`` that changed.
        last_seq: the highest ``seq`` of the new facts; None where there are none.
        seconds: how long the commit of staged inputs took, waiting for its turn included.
    """

    received: int = 0
    appended: int = 0
    duplicates: int = 0
    quarantined: int = 0
    positions: int = 0
    last_seq: int | None = None
    seconds: float = field(default=0.0, compare=False)


@dataclass(slots=True)
class _Staged:
    """What the open transaction has taken in so far.

    Attributes:
        repeated: how often a row came again, to the letter, by its ordinal.
    """

    received: int = 0
    rows: int = 0
    repeated: Counter[int] = field(default_factory=Counter)
    rejected: list[Entry] = field(default_factory=list)
    retractions: list[tuple[Retraction, datetime]] = field(default_factory=list)
    snapshots_of: set[str] = field(default_factory=set)

    @property
    def is_few(self) -> bool:
        """Whether it is a small batch of events alone: what refolds is planned each time."""
        return self.rows <= _FEW and not (self.snapshots_of or self.retractions)


class Appender:
    """Appends batches over one connection, which nothing else may use meanwhile.

    Not for two threads at once. Two appenders on two connections take turns by the lock. Where
    another session of the server answers than the one it was made in, it appends nothing, and
    raises a ``SessionLostError``.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        sequences.align(connection, sequences.OF_THE_LOG)
        connection.autocommit = False
        # What another appender committed while this one waited for its turn has to be seen.
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        connection.execute(queries("appender")["create_incoming"])
        self._backend = pooler.backend(connection)
        connection.commit()
        # What another appender committed and died before it could publish it.
        citus.publish(connection)
        connection.commit()
        self._connection = connection
        self._staged: _Staged | None = None
        self._planned_at = 0

    def append(self, batch: Sequence[Received]) -> Appended:
        """Append what is new, project it, and quarantine what is no event: one transaction."""
        alone = self._staged is None
        try:
            self.stage(batch)
            return self.commit()
        except sequences.NumbersBehindError:
            if not alone:
                raise
        self.stage(batch)
        return self.commit()

    def stage(self, batch: Sequence[Received]) -> None:
        """Take a batch in, without a lock that others wait for; several make one transaction."""
        staged = self._staged = self._staged or _Staged()
        self._take_in(self._rows(batch, staged))

    def _rows(self, batch: Sequence[Received], staged: _Staged) -> Iterator[bytes]:
        """Account for a batch, and yield what of it goes to the server, piece by piece."""
        rows = IncomingRows(first_ordinal=staged.rows)
        first_of: dict[tuple[str, str], tuple[bytes, int]] = {}
        for received in batch:
            what = received.what
            if isinstance(what, Rejected):
                staged.rejected.append(Entry.of(received, what))
                continue
            if isinstance(what, Retraction):
                staged.retractions.append((what, received.received_at))
                continue
            if received.supersedes_before is not None:
                staged.snapshots_of.add(what.position_id)
            # What came twice at once need not go to the server to be found out there.
            row = (what.envelope, staged.rows + len(rows))
            first = first_of.setdefault((what.position_id, what.event_id), row)
            if first is not row and first[0] == what.envelope:
                staged.repeated[first[1]] += 1
                continue
            rows.add(
                event_id=what.event_id,
                position_id=what.position_id,
                type_=what.type,
                status=what.status,
                created_at=what.created_at,
                received_at=received.received_at,
                source=received.source,
                supersedes_before=received.supersedes_before,
                envelope=what.envelope,
            )
            if rows.is_enough:
                yield rows.take()
        staged.received += len(batch)
        staged.rows += len(rows)
        if len(rows):
            yield rows.take_last()

    def commit(self) -> Appended:
        """Append, project and announce what was staged, and commit."""
        if self._staged is None:
            raise RuntimeError("commit() without stage()")
        staged, self._staged = self._staged, None
        began = time.monotonic()
        result = self._in_turn(lambda: self._append_events(staged), few=staged.is_few)
        return replace(result, seconds=time.monotonic() - began)

    def rollback(self) -> None:
        """Forget what was staged."""
        self._staged = None
        self._connection.rollback()

    def append_snapshots(self, snapshots: Sequence[Snapshot], received_at: datetime) -> Appended:
        """Append snapshots and fold their positions again: one transaction."""
        if self._staged is not None:
            raise RuntimeError("append_snapshots() while events are staged")
        try:
            return self._snapshots_in_turn(snapshots, received_at)
        except sequences.NumbersBehindError:
            return self._snapshots_in_turn(snapshots, received_at)

    def _snapshots_in_turn(self, snapshots: Sequence[Snapshot], received_at: datetime) -> Appended:
        rows = IncomingRows()
        for snapshot in snapshots:
            rows.add(
                event_id=snapshot.event_id,
                position_id=snapshot.position_id,
                type_=SNAPSHOT_TYPE,
                status=snapshot.status,
                created_at=snapshot.as_of,
                received_at=received_at,
                source=Source.REST,
                supersedes_before=snapshot.supersedes_before,
                envelope=snapshot.envelope,
            )
        self._take_in(iter([rows.take_last()] if len(rows) else []))
        return self._in_turn(lambda: self._append_snapshots(snapshots))

    def append_retractions(
        self, retractions: Sequence[Retraction], received_at: datetime
    ) -> Appended:
        """Append retractions and fold their positions again: one transaction.

        The facts that they name may come later.
        """
        if self._staged is not None:
            raise RuntimeError("append_retractions() while events are staged")
        seqs, positions = sequences.checked(
            self._connection,
            sequences.OF_THE_LOG,
            lambda: retracting.append(self._connection, retractions, received_at),
        )
        citus.publish(self._connection)
        return Appended(
            received=len(retractions),
            appended=len(seqs),
            duplicates=len(retractions) - len(seqs),
            positions=positions,
            last_seq=max(seqs, default=None),
        )

    def _take_in(self, pieces: Iterator[bytes]) -> None:
        try:
            if (first := next(pieces, None)) is None:
                return
            with (
                self._connection.cursor() as cursor,
                cursor.copy(queries("appender")["copy_incoming"]) as copy,
            ):
                copy.write(first)
                for piece in pieces:
                    copy.write(piece)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            self.rollback()
            raise pooler.lost() from None  # the table was made in another session
        except BaseException:
            self.rollback()
            raise

    def _in_turn(self, work: Callable[[], Appended], *, few: bool = False) -> Appended:
        try:
            few = few and not is_distributed(self._connection)  # Citus plans for the values
            self._take_turn("force_generic_plan" if few else "force_custom_plan")
            result = work()
            self._connection.commit()
            citus.publish(self._connection)
        except (psycopg.errors.UniqueViolation, sequences.NumbersBehindError) as error:
            self.rollback()
            if sequences.is_of_numbers(error):
                sequences.align(self._connection, sequences.OF_THE_LOG, unknown_too=True)
                raise sequences.NumbersBehindError(str(error)) from error
            raise
        except BaseException:
            self.rollback()
            raise
        return result

    def _take_turn(self, plans: str) -> None:
        turn = self._connection.execute(
            queries("appender")["lock_log_and_plan"], {"key": APPEND_LOCK, "plans": plans}
        )
        if (turn.fetchone() or (None,))[0] != self._backend:
            raise pooler.lost()

    def _append_events(self, staged: _Staged) -> Appended:
        appended, first_seq, last_seq, has_retractions = self._append()
        positions, rows = 0, staged.rows + staged.repeated.total()
        if first_seq is not None and last_seq is not None:
            if staged.is_few and last_seq > 2 * self._planned_at:
                # A plan for few facts reads them all, for ever where nothing analyses the table.
                self._connection.execute(queries("appender")["forget_plans"])
                self._planned_at = last_seq
            positions = project_events(
                self._connection, first_seq, last_seq, has_retractions=has_retractions
            )
        keep(self._connection, staged.rejected)
        conflicts = 0
        if appended < staged.rows:
            conflicting = self._keep_conflicts(first_seq, last_seq)
            conflicts = sum(1 + staged.repeated[ordinal] for ordinal in conflicting)
        if appended and staged.snapshots_of:
            # A snapshot may overrule what stands, whatever its rank.
            positions += self._refold(sorted(staged.snapshots_of))
        for retraction, received_at in staged.retractions:
            seqs, folded = retracting.append(self._connection, [retraction], received_at)
            appended, positions = appended + len(seqs), positions + folded
            last_seq = max(seqs, default=last_seq)
        return Appended(
            received=staged.received,
            appended=appended,
            duplicates=rows + len(staged.retractions) - appended - conflicts,
            quarantined=len(staged.rejected) + conflicts,
            positions=positions,
            last_seq=last_seq,
        )

    def _refold(self, position_ids: Sequence[str]) -> int:
        parts = (
            position_ids[at : at + _REFOLDED_AT_ONCE]
            for at in range(0, len(position_ids), _REFOLDED_AT_ONCE)
        )
        return sum(refold_positions(self._connection, part) for part in parts)

    def _append_snapshots(self, snapshots: Sequence[Snapshot]) -> Appended:
        appended, first_seq, last_seq, _ = self._append()
        positions = 0
        if first_seq is not None:
            position_ids = sorted({snapshot.position_id for snapshot in snapshots})
            positions = refold_positions(self._connection, position_ids)
        return Appended(
            received=len(snapshots),
            appended=appended,
            duplicates=len(snapshots) - appended,
            positions=positions,
            last_seq=last_seq,
        )

    def _append(self) -> tuple[int, int | None, int | None, bool]:
        execute = self._connection.execute
        newest, has_retractions = execute(queries("appender")["look"]).fetchone() or (None, False)
        row = execute(queries("appender")["append"]).fetchone()
        appended, first_seq, last_seq = row or (0, None, None)
        sequences.check_order(first_seq, newest)
        if last_seq is not None:
            execute(queries("appender")["announce"], {"seq": str(last_seq)})
        return appended, first_seq, last_seq, has_retractions

    def _keep_conflicts(self, first_seq: int | None, last_seq: int | None) -> list[int]:
        row = self._connection.execute(
            hinted(self._connection, "appender", "keep_conflicting_duplicates"),
            {
                "first_seq": first_seq,
                "last_seq": last_seq,
                "reason": Reason.CONFLICTING_DUPLICATE,
            },
        ).fetchone()
        return row[0] if row else []
