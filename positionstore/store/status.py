"""The state of the store, at a glance."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import psycopg
from psycopg.rows import class_row

from positionstore.store import quarantine
from positionstore.store.identity import identity
from positionstore.store.queries import queries

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class LogState:
    """The log.

    Attributes:
        last_seq: its highest seq; None while it is empty.
        events_estimate: about how many facts it has (as Postgres last counted them).
        last_created_at: the ``created_at`` of the fact that was appended last, UTC.
        last_received_at: its ``received_at``, UTC.
    """

    last_seq: int | None
    events_estimate: int
    last_created_at: datetime | None
    last_received_at: datetime | None


@dataclass(frozen=True, slots=True)
class Oddities:
    """Positions that want a look.

    Attributes:
        unknown_statuses: those whose status the reference table does not know.
        unknown_types: those whose last event's type the reference table does not know.
        misfits: those with a field of the wrong kind.
    """

    unknown_statuses: int
    unknown_types: int
    misfits: int


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A stream session that has not ended. Times are UTC."""

    gateway: str
    started_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """All stream sessions together.

    Attributes:
        sessions: how many there were.
        received: inputs that came over them.
        duplicates: of these, events that the log had already.
        quarantined: of these, inputs that went to quarantine.
        last_seen_at: the last recorded proof of life of any, UTC.
    """

    sessions: int
    received: int
    duplicates: int
    quarantined: int
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on disk, indexes included."""

    database: int
    events: int
    positions: int
    quarantine: int


@dataclass(frozen=True, slots=True)
class Status:
    """What ``positionstore status`` shows.

    Attributes:
        environment: whose data the store holds; None where it holds none yet.
        log: the log.
        positions_by_status: how many positions have which status.
        positions_by_phase: how many are pending, live, terminal.
        oddities: positions that want a look.
        quarantine: inputs that wait in quarantine, by reason.
        live_sessions: stream sessions that have not ended.
        stream: all stream sessions together.
        sizes: bytes on disk.
    """

    environment: str | None
    log: LogState
    positions_by_status: dict[str, int]
    positions_by_phase: dict[str, int]
    oddities: Oddities
    quarantine: dict[str, int]
    live_sessions: list[LiveSession]
    stream: SessionTotals
    sizes: Sizes


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
            log=_parts(connection, LogState, "log")[0],
            positions_by_status=by_status,
            positions_by_phase=by_phase,
            oddities=_parts(connection, Oddities, "oddities")[0],
            quarantine=quarantine.count_waiting(connection),
            live_sessions=_parts(connection, LiveSession, "sessions"),
            stream=_parts(connection, SessionTotals, "totals")[0],
            sizes=_parts(connection, Sizes, "sizes")[0],
        )


def _parts(connection: psycopg.Connection, part: type[Part], name: str) -> list[Part]:
    with connection.cursor(row_factory=class_row(part)) as cursor:
        return cursor.execute(queries("status")[name]).fetchall()
