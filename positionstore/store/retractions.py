"""Retractions in the log: appended like any fact, and their positions folded again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import class_row

from positionstore.model.facts import Retraction
from positionstore.store import archived, citus, feed, sequences
from positionstore.store.locks import APPEND_LOCK
from positionstore.store.projection import drop_emptied, refold_positions
from positionstore.store.queries import queries


@dataclass(frozen=True, slots=True)
class NamedFact:
    """A fact of the log, as far as a retraction looks at it.

    Attributes:
        position_id: the position it speaks of.
        event_id: its id.
        type: its type.
        status: the position's status in it; None for a notification or a retraction.
        created_at: when it was emitted or made, UTC.
        source: the door it came through.
        retracts: of a retraction the fact that it names, else None.
    """

    position_id: str
    event_id: str
    type: str
    status: str | None
    created_at: datetime
    source: str
    retracts: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What ``positions`` shows of a position, at a glance."""

    status: str
    phase: str
    last_event_id: str
    last_event_type: str
    last_event_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What some retractions do to one position.

    Attributes:
        appended: those that are new in the log.
        before: the position before; None where there was no row.
        after: the position after; None where no fact of it is left.
    """

    appended: int
    before: State | None
    after: State | None


def positions_with(connection: psycopg.Connection, event_id: str) -> list[str]:
    """Return the positions of which the log has a fact with this id, a hundred at most."""
    found = connection.execute(_query("positions_with"), {"event_id": event_id})
    return [position_id for (position_id,) in found]


def fact(connection: psycopg.Connection, position_id: str, event_id: str) -> NamedFact | None:
    """Return one fact of the log; None where there is none of that name."""
    with connection.cursor(row_factory=class_row(NamedFact)) as cursor:
        named = {"position_id": position_id, "event_id": event_id}
        return cursor.execute(_query("fact"), named).fetchone()


def standing(connection: psycopg.Connection, position_id: str, event_id: str) -> list[str]:
    """Return the ids of the retractions that keep a fact from counting."""
    named = {"position_id": position_id, "event_id": event_id}
    return [name for (name,) in connection.execute(_query("standing"), named)]


def state(connection: psycopg.Connection, position_id: str) -> State | None:
    """Return what ``positions`` shows of a position; None where it has no row."""
    with connection.cursor(row_factory=class_row(State)) as cursor:
        return cursor.execute(_query("state"), {"position_id": position_id}).fetchone()


def append(
    connection: psycopg.Connection, retractions: Sequence[Retraction], received_at: datetime
) -> tuple[list[int], int]:
    """Append the new ones of some retractions and fold their positions again: one transaction.

    Args:
        connection: one on which no transaction is open, or whose transaction this becomes part of.
        retractions: of any positions; a fact that one names need not be in the log yet.
        received_at: when they reached this store, UTC.

    Returns:
        The seq of each that is new in the log, and how many rows of ``positions`` were written.

    Raises:
        StoreRefusedError: a position's other facts are in an archive; nothing was written.
    """
    with connection.transaction():
        connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
        newest = connection.execute(queries("appender")["newest"]).fetchone()
        seqs = [seq for each in retractions for seq in _append_one(connection, each, received_at)]
        sequences.check_order(min(seqs, default=None), newest[0] if newest else None)
        positions = 0
        if seqs:
            position_ids = sorted({each.position_id for each in retractions})
            archived.refuse_needing(connection, position_ids)
            positions = refold_positions(connection, position_ids)
            positions += drop_emptied(connection, position_ids)
            feed.announce(connection, max(seqs))
    return seqs, positions


def apply(
    connection: psycopg.Connection,
    retractions: Sequence[Retraction],
    received_at: datetime,
    *,
    dry_run: bool = False,
) -> Change:
    """Append retractions of facts of one position, and say what that does to it.

    Args:
        connection: a connection in autocommit mode.
        retractions: at least one, all of one position.
        received_at: when they reached this store, UTC.
        dry_run: whether it is all taken back in the end.
    """
    # What another appender committed while this one waited for its turn has to be seen.
    connection.isolation_level = IsolationLevel.READ_COMMITTED
    change = sequences.checked(
        connection,
        sequences.OF_THE_LOG,
        lambda: _apply(connection, retractions, received_at, dry_run=dry_run),
    )
    citus.publish(connection)
    return change


def _apply(
    connection: psycopg.Connection,
    retractions: Sequence[Retraction],
    received_at: datetime,
    *,
    dry_run: bool,
) -> Change:
    position_id = retractions[0].position_id
    with connection.transaction(force_rollback=dry_run):
        # Before the first look, so that nothing comes between the two.
        connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
        before = state(connection, position_id)
        seqs, _ = append(connection, retractions, received_at)
        return Change(len(seqs), before, state(connection, position_id))


def _append_one(
    connection: psycopg.Connection, retraction: Retraction, received_at: datetime
) -> list[int]:
    row = {
        "event_id": retraction.event_id,
        "position_id": retraction.position_id,
        "created_at": retraction.created_at,
        "received_at": received_at,
        "envelope": retraction.envelope.decode(),
        "retracts": retraction.retracts,
    }
    return [seq for (seq,) in connection.execute(_query("append"), row)]


def _query(name: LiteralString) -> psycopg.sql.SQL:
    return queries("retractions")[name]
