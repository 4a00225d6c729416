"""What the reconciler asks of the store, and records in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from positionstore.model.address import one_spelling
from positionstore.model.facts import SNAPSHOT_TYPE, Snapshot
from positionstore.model.fields import VALUATION_FIELDS
from positionstore.store import locks, sequences
from positionstore.store.engine import filled, hinted, is_distributed
from positionstore.store.locks import APPEND_LOCK, RECONCILE_LOCK
from positionstore.store.queries import queries
from positionstore.store.schema_sql import comparison
from positionstore.store.schema_sql.columns import SQL_TYPES


class Verified(NamedTuple):
    """A row that equals what ``GET /positions`` said.

    Attributes:
        position_id: the position.
        last_event_id: the fact that the row showed when it was compared.
        at: the as-of of what was said, UTC.
    """

    position_id: str
    last_event_id: str
    at: datetime


class Valuation(NamedTuple):
    """What moves with the market, of one position, at one moment (UTC).

    Attributes:
        values: by column of ``valuations``.
    """

    position_id: str
    as_of: datetime
    values: tuple[str | int | bool | datetime | None, ...]


class CompetingFact(NamedTuple):
    """A fact of the log that beats a snapshot. ``created_at`` is UTC."""

    event_id: str
    created_at: datetime
    type: str


class FieldDifference(NamedTuple):
    """A field that differs, by its name on the wire, and both values as text."""

    field: str
    store_value: str | None
    rest_value: str | None


class Compared(NamedTuple):
    """A body of REST beside the row of its position: what a snapshot of it would change.

    Attributes:
        position_id: the position.
        kind: ``missing``, ``stale`` or ``divergent``; None where nothing differs.
        fields: the durable fields that differ; none of a position that is missing.
        last_event_id: the fact that the row shows; None where it is missing.
        has_ended: whether the row is terminal.
        carried: what a snapshot has to carry so that nothing is erased, as JSON; None if nothing.
        newest_event_at: of what differs, the ``created_at`` of the newest event that the log has of
            it, whether the row shows that one or not, UTC; None where the log has none.
        was_shown: whether another fact has shown the same, within the settle window.
        rival: of what differs, the newest fact that would beat a snapshot.
        valuation: the values of :data:`VALUATION_COLUMNS` in the body.
    """

    position_id: str
    kind: str | None
    fields: tuple[FieldDifference, ...]
    last_event_id: str | None
    has_ended: bool
    carried: str | None
    newest_event_at: datetime | None
    was_shown: bool
    rival: CompetingFact | None
    valuation: tuple[str | int | bool | datetime | None, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time that no stream session covers; see ``coverage_gaps``. UTC."""

    started_at: datetime
    ended_at: datetime | None
    repaired_at: datetime | None
    repaired_by: int | None
    recovered_at: datetime | None = None


VALUATION_COLUMNS: Final = tuple(field.path[-1] for field in VALUATION_FIELDS)


def try_lock(connection: psycopg.Connection) -> bool:
    """Become the one reconciler of this database, until the connection ends; False if taken."""
    return locks.try_session_lock(connection, RECONCILE_LOCK)


def holds_lock(connection: psycopg.Connection) -> bool:
    """Whether the session that answers is still that of the one reconciler."""
    return locks.holds(connection, RECONCILE_LOCK)


def unlock(connection: psycopg.Connection) -> None:
    """Be the one reconciler no more; where the connection is lost, that was so already."""
    locks.release(connection, RECONCILE_LOCK)


def begin_run(
    connection: psycopg.Connection,
    *,
    trigger: str,
    scope: str,
    closed_since: datetime | None,
    closed_until: datetime | None,
    started_at: datetime,
) -> int:
    """Record that a run begins; return its number."""
    values = {
        "trigger": trigger,
        "scope": scope,
        "closed_since": closed_since,
        "closed_until": closed_until,
        "started_at": started_at,
    }
    row = sequences.checked(
        connection,
        ["reconciliation_runs"],
        lambda: connection.execute(_statement("begin_run"), values).fetchone(),
    )
    if row is None:
        raise RuntimeError("INSERT ... RETURNING returned nothing")
    return int(row[0])


def finish_run(connection: psycopg.Connection, run_id: int, columns: Mapping[str, object]) -> None:
    """Record how a run ended, by the columns of ``reconciliation_runs``; others are left out."""
    connection.execute(_statement("finish_run"), {**columns, "run_id": run_id})


def record_discrepancies(
    connection: psycopg.Connection, run_id: int, columns: Sequence[Mapping[str, object]]
) -> None:
    """Record fields that differ, by the columns of ``discrepancies``."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _statement("record_discrepancy"), [{**each, "run_id": run_id} for each in columns]
        )


def last_complete_run(connection: psycopg.Connection) -> datetime | None:
    """Return when the last run that saw all of its scope began (our clock, UTC)."""
    return _moment(connection, "last_complete_run")


def coverage_begins(connection: psycopg.Connection) -> datetime | None:
    """Return when the first stream session began (our clock, UTC)."""
    return _moment(connection, "coverage_begins")


def oldest_unrepaired_gap(connection: psycopg.Connection) -> datetime | None:
    """Return when the oldest gap that no run has repaired began (our clock, UTC)."""
    return _moment(connection, "oldest_unrepaired_gap")


def gaps(
    connection: psycopg.Connection, *, unrepaired_only: bool = False, at_most: int = 100
) -> list[Gap]:
    """Return the gaps in the stream's coverage, the newest first."""
    with connection.cursor(row_factory=class_row(Gap)) as cursor:
        return cursor.execute(
            _statement("gaps"), {"unrepaired_only": unrepaired_only, "at_most": at_most}
        ).fetchall()


def compare(
    connection: psycopg.Connection, snapshots: Sequence[Snapshot], settle_window: timedelta
) -> list[Compared]:
    """Return what each of some snapshots would change; of a position there is one at most."""
    found = connection.execute(
        _compare(is_distributed(connection)),
        {
            "position_ids": [each.position_id for each in snapshots],
            "statuses": [each.status for each in snapshots],
            "bodies": [each.body.decode() for each in snapshots],
            "as_of": [each.as_of for each in snapshots],
            "event_ids": [each.event_id for each in snapshots],
            "settle_window": settle_window,
            "type": SNAPSHOT_TYPE,
        },
        prepare=True,
    )
    return [
        Compared(
            position_id=row[0],
            kind=row[1],
            fields=tuple(FieldDifference(*each) for each in row[2] or ()),
            last_event_id=row[3],
            has_ended=row[4],
            carried=row[5],
            newest_event_at=row[6],
            was_shown=row[7],
            rival=None if row[8] is None else CompetingFact(*row[8:11]),
            valuation=row[11:],
        )
        for row in found
    ]


def absent(
    connection: psycopg.Connection, position_ids: Sequence[str]
) -> list[tuple[str, datetime | None]]:
    """Return those of some positions that have not ended, with the moment of their newest event."""
    statement = _statement("absent").format(
        e_counts=_counts("e"), gathered_rows=hinted(connection, "runs", "gathered_rows")
    )
    return connection.execute(statement, {"position_ids": list(position_ids)}).fetchall()


def clock_offsets(connection: psycopg.Connection) -> list[timedelta]:
    """Return how far the server's clock was ahead of ours in earlier runs, the newest first."""
    return [offset for (offset,) in connection.execute(_statement("clock_offsets"))]


def live(
    connection: psycopg.Connection,
    wallets: Sequence[str] | None,
    verified_since: datetime | None,
) -> Iterator[list[tuple[str, str | None]]]:
    """Yield the live positions, some at a time, each with its wallet.

    Args:
        connection: in autocommit mode.
        wallets: only theirs, however they are spelled; everybody's where it is None. An empty one
            stands for positions that name none.
        verified_since: not those verified at or after this moment (UTC).
    """
    after = ""
    while found := connection.execute(
        _statement("live"),
        {"wallets": _spelled(wallets), "after": after, "since": verified_since},
    ).fetchall():
        yield found
        after = found[-1][0]


def count_live(connection: psycopg.Connection, wallets: Sequence[str] | None = None) -> int:
    """Return how many positions the store has live: everybody's, or of some wallets."""
    row = connection.execute(_statement("count_live"), {"wallets": _spelled(wallets)}).fetchone()
    return row[0] if row else 0


def some_live(
    connection: psycopg.Connection, wallets: Sequence[str] | None, at_most: int
) -> list[str]:
    """Return a few of the positions that the store has live, the quietest first."""
    found = connection.execute(
        _statement("some_live"), {"wallets": _spelled(wallets), "at_most": at_most}
    )
    return [name for (name,) in found]


def mark_verified(connection: psycopg.Connection, verified: Sequence[Verified]) -> None:
    """Note that rows equal what ``GET /positions`` said, in a transaction that the caller ends.

    It takes a turn among the appenders: two that write to the same rows in another order would
    wait for each other for ever.
    """
    if not verified:
        return
    connection.execute(queries("appender")["lock_log"], {"key": APPEND_LOCK})
    connection.execute(
        _statement("mark_verified"),
        {
            "position_ids": [each.position_id for each in verified],
            "last_event_ids": [each.last_event_id for each in verified],
            "at": [each.at for each in verified],
        },
    )


def wallets(connection: psycopg.Connection) -> list[str]:
    """Return the wallets that the store knows."""
    return [name for (name,) in connection.execute(_statement("wallets"))]


def keep_valuations(
    connection: psycopg.Connection, valuations: Sequence[Valuation], *, history: bool
) -> None:
    """Keep the latest valuation of each position, and with ``history`` every one."""
    if not valuations:
        return
    parameters: dict[str, object] = {
        "position_ids": [each.position_id for each in valuations],
        "as_of": [each.as_of for each in valuations],
    }
    for index, column in enumerate(VALUATION_COLUMNS):
        parameters[column] = [each.values[index] for each in valuations]
    connection.execute(_valuation_statement("value"), parameters)
    if history:
        connection.execute(_valuation_statement("remember_value"), parameters)


def drop_stale_valuations(connection: psycopg.Connection) -> None:
    """Forget the valuations of positions that have ended."""
    connection.execute(_statement("drop_stale_valuations"))


def _statement(name: str) -> sql.SQL:
    return queries("runs")[name]


@cache
def _valuation_statement(name: str) -> bytes:
    composed = _statement(name).format(
        columns=_identifiers(VALUATION_COLUMNS),
        arrays=sql.SQL(", ").join(
            sql.SQL("{}::{}[]").format(
                sql.Placeholder(field.path[-1]), sql.SQL(SQL_TYPES[field.kind])
            )
            for field in VALUATION_FIELDS
        ),
        assignments=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column))
            for column in VALUATION_COLUMNS
        ),
    )
    return composed.as_bytes()


def _identifiers(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


@cache
def _compare(distributed: bool) -> bytes:
    pieces = {name: sql.SQL(piece) for name, piece in comparison.pieces().items()}
    return (
        _statement("compare")
        .format(
            f_counts=_counts("f"),
            e_counts=_counts("e"),
            gathered_rows=filled("runs", "gathered_rows", distributed),
            **pieces,
        )
        .as_bytes()
    )


def _counts(fact: LiteralString) -> sql.Composed:
    return _statement("counts").format(fact=sql.SQL(fact))


def _moment(connection: psycopg.Connection, name: str) -> datetime | None:
    row = connection.execute(_statement(name)).fetchone()
    return row[0] if row else None


def _spelled(wallets: Sequence[str] | None) -> list[str] | None:
    return None if wallets is None else list(map(one_spelling, wallets))
