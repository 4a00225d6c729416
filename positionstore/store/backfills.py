"""Backfills: what was asked for, and how far each has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg.rows import class_row, dict_row

from positionstore.store import sequences
from positionstore.store.queries import queries
from positionstore.store.sessions import DEAD_AFTER

ListCursor = tuple[str | None, bool]
"""How far a walk has come: the id of the last position passed, and whether the list has ended."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A backfill that was interrupted; see the comments of ``backfills``. Moments are UTC."""

    backfill_id: int
    since: datetime | None
    until: datetime | None
    started_at: datetime
    as_of: datetime | None
    parts: int
    seen: int
    repaired: int
    requests: int
    walks: dict[str, ListCursor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What a backfill has done so far, in all its parts; see the comments of ``backfills``."""

    as_of: datetime | None
    parts: int
    seen: int
    repaired: int
    unresolved: int
    requests: int
    run_id: int | None


@dataclass(frozen=True, slots=True)
class Unrepaired:
    """The gaps that no run has repaired. Moments are UTC.

    Attributes:
        gaps: how many there are.
        ended: of these, how many are over.
        since: when the oldest began; None where there is none.
        until: when the newest ended; None where one is still open.
        open_since: when the one that is still open began, if any.
    """

    gaps: int
    ended: int
    since: datetime | None
    until: datetime | None
    open_since: datetime | None


def unfinished(
    connection: psycopg.Connection, *, what: str, since: datetime | None, until: datetime | None
) -> Unfinished | None:
    """Return the newest of this kind that was interrupted; of a window only of this very one."""
    with connection.cursor(row_factory=class_row(Unfinished)) as cursor:
        found = cursor.execute(
            queries("backfills")["unfinished"], {"what": what, "since": since, "until": until}
        ).fetchone()
    if found is not None:
        rows = connection.execute(
            queries("backfills")["walks"], {"backfill_id": found.backfill_id}
        ).fetchall()
        found.walks.update({walk: (last_id, ended) for walk, last_id, ended in rows})
    return found


def begin(
    connection: psycopg.Connection,
    *,
    what: str,
    since: datetime | None,
    until: datetime | None,
    started_at: datetime,
    at: datetime,
) -> int:
    """Record that one begins, in place of those of its kind that were interrupted."""
    values = {"what": what, "since": since, "until": until, "started_at": started_at, "at": at}
    row = sequences.checked(
        connection,
        ["backfills"],
        lambda: connection.execute(queries("backfills")["begin"], values).fetchone(),
    )
    if row is None:
        raise RuntimeError("INSERT ... RETURNING returned nothing")
    return int(row[0])


def passed(connection: psycopg.Connection, backfill_id: int, walk: str, place: ListCursor) -> None:
    """Record that all of a list up to a position is done."""
    last_id, ended = place
    connection.execute(
        queries("backfills")["passed"],
        {"backfill_id": backfill_id, "walk": walk, "last_id": last_id, "ended": ended},
    )


def count(connection: psycopg.Connection, backfill_id: int, done: Done, at: datetime) -> None:
    """Record what was done so far."""
    values: Mapping[str, object] = {name: getattr(done, name) for name in done.__slots__}
    connection.execute(
        queries("backfills")["count"], {"backfill_id": backfill_id, "at": at, **values}
    )


def finish(connection: psycopg.Connection, backfill_id: int, at: datetime) -> None:
    """Record that all of it was seen."""
    connection.execute(queries("backfills")["finish"], {"backfill_id": backfill_id, "at": at})


def in_doubt(connection: psycopg.Connection, silence: float) -> float | None:
    """Return how many seconds ago a session was last heard that may have died; None where none is.

    A process that was killed leaves a session that has not ended. Until it is taken for dead, its
    gap does not show.

    Args:
        connection: any.
        silence: after how many seconds a session that lives should have been heard again.
    """
    row = connection.execute(
        queries("backfills")["in_doubt"], {"silence": silence, "dead_after": DEAD_AFTER}
    ).fetchone()
    return None if row is None or row[0] is None else float(row[0])


def unrepaired(connection: psycopg.Connection, *, before: datetime | None = None) -> Unrepaired:
    """Return the gaps that no run has repaired, of those that began before a moment (UTC)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(queries("backfills")["unrepaired"], {"before": before}).fetchone()
    return Unrepaired(**(row or {}))


def seen_in_full(connection: psycopg.Connection) -> int | None:
    """Return how many positions the last run of all of them saw; None before the first."""
    row = connection.execute(queries("backfills")["seen_in_full"]).fetchone()
    return row[0] if row else None


def known_since(connection: psycopg.Connection, since: datetime | None) -> int:
    """Return how many positions the store has live, or knows to have ended since (UTC)."""
    row = connection.execute(queries("backfills")["known_since"], {"since": since}).fetchone()
    return row[0] if row else 0
