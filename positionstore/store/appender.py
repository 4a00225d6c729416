"""Appending facts to the log, and projecting them, in one transaction.

A batch is staged first (``COPY`` into a temporary table, which blocks no one)
and then committed: under the appenders' lock it goes into the log, is projected, and listeners
are notified. A few events are not staged, but go into the log as parameters: to fill a temporary
table and to empty it again takes the server longer than they do. A crash or an error at any point
leaves the database as it was.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import chain
from typing import LiteralString

import psycopg
from psycopg import IsolationLevel, sql

from positionstore.model.facts import (
    SNAPSHOT_TYPE,
    Event,
    Reason,
    Received,
    Rejected,
    Retraction,
    Snapshot,
    Source,
)
from positionstore.store import citus, pooler, sequences
from positionstore.store import retractions as retracting
from positionstore.store.engine import HINTS, is_distributed
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.projection import project_events, refold_positions
from positionstore.store.quarantine import Entry, keep
from positionstore.store.queries import queries
from positionstore.store.staging import Incoming, IncomingCopy, arrays

CHANNEL = "positionstore"
"""Where a committed batch is announced, with its highest ``seq``."""

_FEW = 1_000
"""Events that are projected by one plan for all such batches; to make a plan takes longer."""

_DIRECT = 100
"""Inputs that are not staged, if they have no more than ``_DIRECT_BYTES``."""
_DIRECT_BYTES = 128 * 1024
"""They are sent while others wait for their turn, however slow the way to the server is."""

_ENOUGH_BYTES = 256 * 1024 * 1024
"""Of events that make a transaction, however few; a hundred thousand usual ones have fewer."""
_ENOUGH_REJECTED_BYTES = 32 * 1024 * 1024
"""The same of inputs that are no events: they are in memory until the commit."""

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
        held: the few inputs that are not sent to the server until the commit.
        is_copied: whether there is something in ``incoming``.
        repeated: how often a row came again, to the letter, by its ordinal.
        size: bytes of the rows' envelopes.
        rejected_size: bytes of the inputs that are no events.
    """

    held: list[Received] = field(default_factory=list)
    is_copied: bool = False
    received: int = 0
    rows: int = 0
    repeated: Counter[int] = field(default_factory=Counter)
    size: int = 0
    rejected_size: int = 0
    rejected: list[Entry] = field(default_factory=list)
    retractions: list[tuple[Retraction, datetime]] = field(default_factory=list)
    snapshots_of: set[str] = field(default_factory=set)

    @property
    def is_few(self) -> bool:
        """Whether it is a small batch of events alone: what refolds is planned each time."""
        return self.rows <= _FEW and not (self.snapshots_of or self.retractions)

    def accepted(self, batch: Sequence[Received]) -> Iterator[Incoming]:
        """Account for a batch; yield the facts of it that go to the server."""
        rows, first = self.rows, self.rows
        first_of: dict[str, int] = {}
        events: list[Event] = []
        for received in batch:
            what = received.what
            if not isinstance(what, Event):
                self._set_aside(received, what)
                continue
            if received.supersedes_before is not None:
                self.snapshots_of.add(what.position_id)
            # What came twice at once need not go to the server to be found out there.
            place = first_of.setdefault(what.event_id, rows)
            if place != rows and events[place - first].envelope == what.envelope:
                self.repeated[place] += 1
                continue
            events.append(what)
            self.size += len(what.envelope)
            self.rows = rows = rows + 1
            yield received, what
        self.received += len(batch)

    def _set_aside(self, received: Received, what: Rejected | Retraction) -> None:
        if isinstance(what, Rejected):
            self.rejected.append(Entry.of(received, what))
            self.rejected_size += len(what.raw)
        else:
            self.retractions.append((what, received.received_at))


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
        self._limit = (connection.execute("SHOW statement_timeout").fetchone() or ("0",))[0]
        self._is_distributed = is_distributed(connection)
        connection.commit()
        # What another appender committed and died before it could publish it.
        citus.publish(connection)
        connection.commit()
        self._connection = connection
        self._staged: _Staged | None = None
        self._copy: IncomingCopy | None = None
        self._planned_at = 0

    def append(self, batch: Sequence[Received]) -> Appended:
        """Append what is new, project it, and quarantine the rest: one transaction."""
        alone = self._staged is None
        try:
            self.stage(batch)
            return self.commit()
        except sequences.NumbersBehindError:
            if not alone:
                raise
        self.stage(batch)
        return self.commit()

    @property
    def has_much(self) -> bool:
        """Whether so many bytes are staged that they make a transaction, however few inputs."""
        staged = self._staged
        if staged is None:
            return False
        held = (each.what for each in staged.held)
        rejected = sum(len(what.raw) for what in held if isinstance(what, Rejected))
        return (
            staged.size >= _ENOUGH_BYTES
            or staged.rejected_size + rejected >= _ENOUGH_REJECTED_BYTES
        )

    def stage(self, batch: Sequence[Received]) -> None:
        """Take a batch in, without a lock that others wait for; several make one transaction.

        The server may still be at work on it afterwards, and refuse it in :meth:`commit`.
        """
        staged = self._staged = self._staged or _Staged()
        if not (staged.is_copied or self._is_distributed) and _are_few(staged.held, batch):
            staged.held += batch
            return
        held, staged.held, staged.is_copied = staged.held, [], True
        self._take_in(chain(staged.accepted(held), staged.accepted(batch)))

    def commit(self) -> Appended:
        """Append, project and announce what was staged, and commit."""
        if self._staged is None:
            raise RuntimeError("commit() without stage()")
        staged, self._staged = self._staged, None
        began = time.monotonic()
        held = None if staged.is_copied else list(staged.accepted(staged.held))
        self._finish_copy()
        result = self._in_turn(lambda: self._append_events(staged, held), few=staged.is_few)
        return replace(result, seconds=time.monotonic() - began)

    def close(self) -> None:
        """Close the connection; what was staged is forgotten."""
        self._staged = None
        with suppress(psycopg.Error):
            self._connection.close()
        self._give_up_copy()

    def rollback(self) -> None:
        """Forget what was staged."""
        self._staged = None
        self._give_up_copy()
        # An interrupt may have closed it, and is not to be replaced by an error that says so.
        if not self._connection.closed:
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
        self._take_in(_incoming(each, received_at) for each in snapshots)
        self._finish_copy()
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

    def _take_in(self, facts: Iterable[Incoming]) -> None:
        try:
            if self._copy is None:
                statements = queries("appender")
                self._connection.execute(statements["lift_limit"])
                self._copy = IncomingCopy(self._connection, statements["copy_incoming"])
            self._copy.write(facts)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            self.rollback()
            raise pooler.lost() from None  # the table was made in another session
        except BaseException:
            self.rollback()
            raise

    def _finish_copy(self) -> None:
        if self._copy is None:
            return
        try:
            self._copy.finish()
        except BaseException:
            self.rollback()
            raise
        self._copy = None

    def _give_up_copy(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.give_up()

    def _in_turn(self, work: Callable[[], Appended], *, few: bool = False) -> Appended:
        try:
            few = few and not self._is_distributed  # Citus plans for the values
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
            queries("appender")["lock_log_and_plan"],
            {"key": APPEND_LOCK, "plans": plans, "limit": self._limit},
        )
        if (turn.fetchone() or (None,))[0] != self._backend:
            raise pooler.lost()

    def _append_events(self, staged: _Staged, held: Sequence[Incoming] | None) -> Appended:
        appended, first_seq, last_seq, newest, has_retractions = self._append(held)
        positions, rows = 0, staged.rows + staged.repeated.total()
        reached = last_seq or newest or 0
        if staged.is_few and reached > 2 * self._planned_at:
            # A plan for few facts reads them all, for ever where nothing analyses the table.
            self._connection.execute(queries("appender")["forget_plans"])
            self._planned_at = reached
        if first_seq is not None and last_seq is not None:
            positions = project_events(
                self._connection, first_seq, last_seq, has_retractions=has_retractions
            )
        keep(self._connection, staged.rejected)
        conflicts = 0
        if appended < staged.rows:
            conflicting = self._keep_conflicts(held, first_seq, last_seq)
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
        appended, first_seq, last_seq, *_ = self._append()
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

    def _append(
        self, held: Sequence[Incoming] | None = None
    ) -> tuple[int, int | None, int | None, int | None, bool]:
        """Put what is held into the log, or else what is staged, and announce it.

        On Citus it is announced when it is published.

        Returns:
            How many facts are new, the first and the last seq of them, and the newest seq of the
            log and whether it had retractions, before.
        """
        execute = self._connection.execute
        if held is None:
            newest, has_retractions = execute(self._sql("look")).fetchone() or (None, False)
            row = execute(self._sql("append")).fetchone()
            appended, first_seq, last_seq, *_ = row or (0, None, None)
        elif held:
            row = execute(self._sql("append_few"), arrays(held)).fetchone()
            appended, first_seq, last_seq, newest, has_retractions, _ = row or (0, *[None] * 5)
        else:
            return 0, None, None, None, False
        sequences.check_order(first_seq, newest)
        return appended, first_seq, last_seq, newest, has_retractions

    def _keep_conflicts(
        self, held: Sequence[Incoming] | None, first_seq: int | None, last_seq: int | None
    ) -> list[int]:
        """Keep in quarantine what the log has with other content; return its ordinals."""
        values: dict[str, object] = {"reason": Reason.CONFLICTING_DUPLICATE}
        if held is None:
            statement = self._sql("keep_conflicting_duplicates")
            values |= {"first_seq": first_seq, "last_seq": last_seq}
        else:
            statement = self._sql("keep_conflicting_few")
            values |= arrays(held)
        row = self._connection.execute(statement, values).fetchone()
        return row[0] if row else []

    def _sql(self, name: LiteralString) -> sql.Composed:
        return _statement(name, self._is_distributed)


@cache
def _statement(name: LiteralString, distributed: bool) -> sql.Composed:
    """Return a statement for one engine or the other.

    On Citus none can tell listeners what its own rows are.
    """
    parts, hints = queries("appender"), HINTS[distributed]
    return parts[name].format(
        seen=parts["seen"],
        and_told=sql.SQL("") if distributed else parts["and_told"],
        conflicting_kept=parts["conflicting_kept"].format(**hints),
        **hints,
    )


def _incoming(snapshot: Snapshot, received_at: datetime) -> Incoming:
    what = Event(
        snapshot.event_id,
        SNAPSHOT_TYPE,
        snapshot.as_of,
        snapshot.position_id,
        snapshot.status,
        snapshot.envelope,
    )
    return Received(what, received_at, Source.REST, snapshot.supersedes_before), what


def _are_few(held: Sequence[Received], batch: Sequence[Received]) -> bool:
    """Whether inputs are so few, and so short, that they need not be staged."""
    if len(held) + len(batch) > _DIRECT:
        return False
    facts = (received.what for received in (*held, *batch))
    return (
        sum(0 if isinstance(what, Rejected) else len(what.envelope) for what in facts)
        <= _DIRECT_BYTES
    )
