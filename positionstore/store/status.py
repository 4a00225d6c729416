"""The state of the store, at a glance.

Its parts are Structs, which take a tenth of a dataclass's time to define: a short command
spends most of its time on that.
"""

from datetime import datetime
from typing import Final, TypeVar

import msgspec
import psycopg
from psycopg.rows import class_row

from positionstore.store import citus, differing, quarantine, restored
from positionstore.store.engine import is_distributed
from positionstore.store.identity import identity
from positionstore.store.invalid_fields import InvalidField, invalid_fields
from positionstore.store.other_roles import at_fault, other_rights
from positionstore.store.queries import queries
from positionstore.store.roles import recorded

Part = TypeVar("Part")

NONE_UNDERSTOOD: Final = 10
"""So many inputs in a row in quarantine, and none understood, are an error."""


class LogState(msgspec.Struct, frozen=True):
    """The log.

    Attributes:
        last_seq: its highest seq; None while it is empty.
        events_estimate: about how many facts it has (as Postgres last counted them).
        last_created_at: the ``created_at`` of the event of the stream that was appended last, UTC;
            None before the first. Imports and snapshots do not count.
        last_received_at: its ``received_at``, UTC.
    """

    last_seq: int | None
    events_estimate: int
    last_created_at: datetime | None
    last_received_at: datetime | None


class Oddities(msgspec.Struct, frozen=True):
    """Positions that want a look.

    Attributes:
        unknown_statuses: those whose status the reference table does not know.
        unknown_types: those whose last event's type the reference table does not know.
        misfits: those with a field of the wrong kind.
    """

    unknown_statuses: int
    unknown_types: int
    misfits: int


class LiveSession(msgspec.Struct, frozen=True):
    """A stream session that has not ended. Times are UTC.

    Attributes:
        gateway: ``partner`` or ``customer``.
        started_at: when it began.
        last_seen_at: its last recorded proof of life.
        received: inputs that came over it.
        quarantined: of these, inputs that went to quarantine.
    """

    gateway: str
    started_at: datetime
    last_seen_at: datetime
    received: int
    quarantined: int

    @property
    def understands_nothing(self) -> bool:
        """Whether every input went to quarantine, and there were enough to say so."""
        return self.received == self.quarantined >= NONE_UNDERSTOOD


class SessionTotals(msgspec.Struct, frozen=True):
    """All stream sessions together.

    Attributes:
        sessions: how many there were.
        received: inputs that came over them.
        duplicates: of these, events that the log had already.
        quarantined: of these, inputs that went to quarantine.
        recovered: of these, events that a gateway had emitted during an outage, and replayed.
        last_seen_at: the last recorded proof of life of any, UTC.
    """

    sessions: int
    received: int
    duplicates: int
    quarantined: int
    recovered: int
    last_seen_at: datetime | None


class Sizes(msgspec.Struct, frozen=True):
    """Bytes on disk, indexes included."""

    database: int
    events: int
    positions: int
    quarantine: int


class Archived(msgspec.Struct, frozen=True):
    """What was moved out of the log into archives, and has not come back.

    Attributes:
        archives: in how many files it is.
        positions: of how many positions.
        facts: how many facts are in the files; the few that the fold needs are in the log too.
        of_other_stores: archives that another store's log tells of, which was imported here; their
            facts are not counted above.
    """

    archives: int
    positions: int
    facts: int
    of_other_stores: int


class Lag(msgspec.Struct, frozen=True):
    """How long the newest events of the stream were under way, from ``created_at`` to us.

    Attributes:
        median: seconds; None where none came over a stream.
        p95: seconds; all but one in twenty were faster.
    """

    median: float | None
    p95: float | None


class Coverage(msgspec.Struct, frozen=True):
    """The gaps of the stream; see ``coverage_gaps``.

    Attributes:
        gaps: how many there are.
        recovered: how many of them a gateway has replayed.
        unrepaired: how many of the others no run has repaired.
        unrepaired_seconds: how long these are together, until now where one is open.
        oldest_unrepaired_at: when the oldest of them began, UTC.
        open_since: since when there has been no stream, UTC; None while there is one, and before
            the first.
    """

    gaps: int
    recovered: int
    unrepaired: int
    unrepaired_seconds: float
    oldest_unrepaired_at: datetime | None
    open_since: datetime | None


class LastRun(msgspec.Struct, frozen=True):
    """The reconciliation that began last; see ``reconciliation_runs``."""

    run_id: int
    trigger: str
    scope: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    seen: int
    differed: int
    repaired: int
    unresolved: int
    error: str | None


class Drift(msgspec.Struct, frozen=True):
    """What the reconciliations of the last 24 hours found; a position counts once, not once a run.

    Attributes:
        runs: how many there were.
        incomplete: of these, those that were partial or failed.
        missing: positions that the store did not have.
        stale: positions of which the store was behind.
        divergent: positions with other values at the same moment.
        absent_upstream: positions that REST does not know.
        repaired: positions that were repaired.
        last_complete_at: when a run last ended that saw all of its scope, UTC, however long ago.
        last_full_at: when one of all positions did, UTC.
        still_different: positions that differed in the newest run that looked at them, however
            long ago, and that none has found equal since.
    """

    runs: int
    incomplete: int
    missing: int
    stale: int
    divergent: int
    absent_upstream: int
    repaired: int
    last_complete_at: datetime | None
    last_full_at: datetime | None
    still_different: int = 0


class ClockOffset(msgspec.Struct, frozen=True):
    """How far the vendor's clock is ahead of ours, by the newest run that could tell.

    Attributes:
        run_id: that run.
        started_at: when it began, UTC.
        seconds: the offset; negative where the vendor's is behind.
    """

    run_id: int
    started_at: datetime
    seconds: float


class Status(msgspec.Struct, frozen=True):
    """What ``positionstore status`` shows.

    Attributes:
        environment: whose data the store holds; None where it holds none yet.
        log: the log.
        positions_by_status: how many positions have which status.
        positions_by_phase: how many are pending, live, terminal.
        archived: what was moved out of the log.
        oddities: positions that want a look.
        invalid_fields: fields whose value is not of their kind, with some of the positions.
        quarantine: inputs that wait in quarantine, by reason.
        live_sessions: stream sessions that have not ended.
        stream: all stream sessions together.
        lag: how long the newest events were under way.
        coverage: the gaps of the stream.
        last_run: the reconciliation that began last; None before the first.
        drift: what the last ones found.
        clock: how far the vendor's clock is ahead of ours; None where no run could tell.
        sizes: bytes on disk.
        shards: what each worker has of a store on Citus; empty where it is none.
        guard: how the trigger stands that keeps the log append-only.
        others_may_change: roles other than the store's that can change something of it.
    """

    environment: str | None
    log: LogState
    positions_by_status: dict[str, int]
    positions_by_phase: dict[str, int]
    archived: Archived
    oddities: Oddities
    invalid_fields: list[InvalidField]
    quarantine: dict[str, int]
    live_sessions: list[LiveSession]
    stream: SessionTotals
    lag: Lag
    coverage: Coverage
    last_run: LastRun | None
    drift: Drift
    clock: ClockOffset | None
    sizes: Sizes
    shards: list[citus.WorkerShards]
    guard: restored.Guard
    others_may_change: list[str]


def status(connection: psycopg.Connection) -> Status:
    """Look at the store, in one snapshot of it.

    Args:
        connection: a connection in autocommit mode.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        by_status: dict[str, int] = {}
        by_phase: dict[str, int] = {"pending": 0, "live": 0, "terminal": 0}
        for name, phase, count in connection.execute(queries("status")["positions"]):
            by_status[name] = count
            by_phase[phase] += count
        environment = identity(connection)
        return Status(
            environment=environment.value if environment else None,
            log=_log(connection),
            positions_by_status=by_status,
            positions_by_phase=by_phase,
            archived=_parts(connection, Archived, "archived")[0],
            oddities=_parts(connection, Oddities, "oddities")[0],
            invalid_fields=invalid_fields(connection),
            quarantine=quarantine.count_waiting(connection),
            live_sessions=live_sessions(connection),
            stream=stream(connection),
            lag=_parts(connection, Lag, "lag")[0],
            coverage=coverage(connection),
            last_run=next(iter(_parts(connection, LastRun, "last_run")), None),
            drift=drift(connection),
            clock=clock_offset(connection),
            sizes=_sizes(connection),
            shards=citus.shards(connection) if is_distributed(connection) else [],
            guard=restored.guard(connection),
            others_may_change=at_fault(other_rights(connection, recorded(connection))),
        )


def _log(connection: psycopg.Connection) -> LogState:
    found = _parts(connection, LogState, "log")[0]
    if not is_distributed(connection):
        return found
    # The coordinator has no row of its own, and so no estimate.
    return msgspec.structs.replace(found, events_estimate=citus.count_facts(connection))


def _sizes(connection: psycopg.Connection) -> Sizes:
    if is_distributed(connection):
        with connection.cursor(row_factory=class_row(Sizes)) as cursor:
            return cursor.execute(queries("citus")["sizes"]).fetchall()[0]
    return _parts(connection, Sizes, "sizes")[0]


def live_sessions(connection: psycopg.Connection) -> list[LiveSession]:
    """Return the stream sessions that have not ended."""
    return _parts(connection, LiveSession, "sessions")


def stream(connection: psycopg.Connection) -> SessionTotals:
    """Return what came over all stream sessions."""
    return _parts(connection, SessionTotals, "totals")[0]


def coverage(connection: psycopg.Connection) -> Coverage:
    """Return the gaps of the stream."""
    return _parts(connection, Coverage, "coverage")[0]


def drift(connection: psycopg.Connection) -> Drift:
    """Return what the reconciliations found."""
    found = _parts(connection, Drift, "drift")[0]
    return msgspec.structs.replace(found, still_different=differing.count(connection))


def clock_offset(connection: psycopg.Connection) -> ClockOffset | None:
    """Return how far the vendor's clock is ahead of ours; None where no run could tell."""
    return next(iter(_parts(connection, ClockOffset, "clock")), None)


def _parts(connection: psycopg.Connection, part: type[Part], name: str) -> list[Part]:
    with connection.cursor(row_factory=class_row(part)) as cursor:
        return cursor.execute(queries("status")[name]).fetchall()
