"""The fold of the log beside ``positions``: where the two differ.

The fold picks of each position the fact that its row should show. Then that fact is read as a row,
for some thousand positions at a time, and compared; nothing is written, not even to a temporary
table.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from threading import Thread
from typing import Final, Self

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import class_row

from positionstore.errors import PositionstoreError
from positionstore.model.fields import FIELDS, FOLDED_COLUMNS
from positionstore.store.engine import HINTS, is_distributed
from positionstore.store.queries import queries
from positionstore.store.schema_sql import facts

SLICE = 10_000
"""Positions that are compared between two steps of the progress."""

_PATIENCE: Final = 5.0
"""Seconds for which one waits for a second session, and for the server to give up a statement."""

_NO_MEMO: Final = "SET LOCAL enable_memoize = off"
"""The planner would keep each body that it takes apart, in case that it comes again."""

Progress = Callable[[int, int], None]
"""Takes how many positions are done, and of how many."""

Connect = Callable[[], psycopg.Connection]
"""Opens a further connection to the same place."""


def _columns(prefix: str = "") -> sql.Composed:
    names = [sql.Identifier(*(filter(None, (prefix, name)))) for name in FOLDED_COLUMNS]
    return sql.SQL(", ").join(names)


_ASSIGNMENTS = sql.SQL(", ").join(
    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
    for name in FOLDED_COLUMNS
    if name != "position_id"
)


@cache
def _proof() -> dict[str, sql.SQL]:
    fields = [each for each in FIELDS if each.column not in {"position_id", "status"}]
    # It is made of names and types alone, from the catalogue of fields.
    return {name: sql.SQL(text) for name, text in facts.proof(fields).items()}


_DIFFERING = sql.SQL(",\n        ").join(
    sql.SQL("CASE WHEN p.{0} IS DISTINCT FROM r.{0} THEN {1} END").format(
        sql.Identifier(name), sql.Literal(name)
    )
    for name in sorted(FOLDED_COLUMNS)
)


def statement(
    connection: psycopg.Connection, name: str, *, has_retractions: bool = True
) -> sql.SQL:
    """Return a statement of the projection for the engine at hand, with a position's columns."""
    return _statement(name, has_retractions, is_distributed(connection))


@cache
def _statement(name: str, has_retractions: bool, distributed: bool) -> sql.SQL:
    and_counts = queries("projection")["and_counts"] if has_retractions else sql.SQL("")
    composed = queries("projection")[name].format(
        and_counts=and_counts,
        columns=_columns(),
        p_columns=_columns("p"),
        r_columns=_columns("r"),
        assignments=_ASSIGNMENTS,
        differing=_DIFFERING,
        **HINTS[distributed],
        **(_proof() if name == "differences" else {}),
    )
    # As one text: to put so many columns together takes longer than to append a lone event.
    return sql.SQL(composed.as_string())


@dataclass(frozen=True, slots=True)
class Difference:
    """A position whose row is not the fold of its facts.

    Attributes:
        position_id: the position.
        kind: ``missing`` (no row), ``unfounded`` (a row, but no fact), ``different``.
        columns: the columns that differ.
    """

    position_id: str
    kind: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class Found(Difference):
    """A difference, and the fact that the row should show.

    Attributes:
        seq: the fact; None where there is none.
        supersedes_before: the moment up to which the latest snapshot overrules events.
    """

    seq: int | None = None
    supersedes_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Slice:
    """Some positions with the facts that they should show, in arrays as the server spells them.

    Attributes:
        size: how many.
        in_all: how many there are in all slices.
        position_ids: the positions.
        seqs: the facts.
        moments: the moments up to which their latest snapshots overrule events.
        unfounded: further positions that have a row, but no fact.
    """

    size: int
    in_all: int
    position_ids: str
    seqs: str
    moments: str
    unfounded: list[str]


def compare(
    connection: psycopg.Connection,
    position_ids: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
    another: Connect | None = None,
) -> list[Found]:
    """Fold all positions, or some, and return those whose rows differ; within a transaction.

    Raises:
        PositionstoreError: no position came of a log that has facts, or no row of a fact, or
            not all positions were compared.
    """
    found: list[Found] = []
    done = in_all = 0
    some = None if position_ids is None else list(position_ids)
    connection.execute(_NO_MEMO)
    values = {"position_ids": some, "slice": SLICE}
    with (
        # On the server's side, so that only two slices are in memory.
        connection.cursor("winners", row_factory=class_row(_Slice)) as winners,
        _SecondSession(connection, another) as second,
    ):
        winners.itersize = 1
        slices = iter(winners.execute(statement(connection, "winners"), values))
        for ours in slices:
            work: list[tuple[_Slice, Callable[[], list[Found]]]] = [
                (ours, partial(_compare_slice, connection, ours))
            ]
            if (theirs := next(slices, None)) is not None:
                work.append((theirs, second.begin(theirs)))
            for part, differing in work:
                found += differing()
                found += [Found(name, "unfounded", []) for name in part.unfounded]
                done, in_all = done + part.size, part.in_all
                if progress is not None and part.size:
                    progress(done, part.in_all)
    if done != in_all:
        raise PositionstoreError(
            f"Of {in_all:,} positions {done:,} were compared; nothing was changed.",
            remedy="Report it with the versions of PostgreSQL and psycopg.",
        )
    if not done and position_ids is None:
        _require_no_facts(connection)
    return found


def _compare_slice(connection: psycopg.Connection, part: _Slice) -> list[Found]:
    values = {
        "position_ids": part.position_ids,
        "seqs": part.seqs,
        "moments": part.moments,
    }
    with connection.cursor(row_factory=class_row(Found)) as cursor:
        found = cursor.execute(statement(connection, "differences"), values).fetchall()
    if any(each.seq is None for each in found):
        raise schema_broken("The log has a fact that gives no row")
    return found


class _SecondSession:
    """A second session with the first one's snapshot, for every other slice.

    PostgreSQL's own parallel workers cannot do it: the functions that read a value of the wrong
    kind need subtransactions.
    """

    def __init__(self, connection: psycopg.Connection, another: Connect | None) -> None:
        self._connection = connection
        # Workers of Citus share the work anyway, and no snapshot reaches them.
        self._another = None if is_distributed(connection) else another
        self._other: psycopg.Connection | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Do nothing yet; a short log never asks for it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close it; if the work is given up, so is the slice that it is at."""
        if kind is not None and self._other is not None:
            with suppress(psycopg.Error):
                self._other.cancel_safe(timeout=_PATIENCE)
        self._stack.close()

    def begin(self, part: _Slice) -> Callable[[], list[Found]]:
        """Let it begin with a slice, and return what waits for the result."""
        if self._another is not None:
            self._open(self._another)
            self._another = None
        if self._other is None:
            return partial(_compare_slice, self._connection, part)
        return self._thread.submit(_compare_slice, self._other, part).result

    def _open(self, another: Connect) -> None:
        row = self._connection.execute("SELECT pg_export_snapshot()").fetchone()
        # Where there is none to be had, the work is done without.
        refused = (psycopg.Error, PositionstoreError, CancelledError, TimeoutError)
        with suppress(*refused), ExitStack() as stack:
            other = stack.enter_context(closing(_soon(another)))
            other.isolation_level = IsolationLevel.REPEATABLE_READ
            other.autocommit = False
            other.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(*row or ()))
            other.execute(_NO_MEMO)
            self._thread = stack.enter_context(ThreadPoolExecutor(1, "verify"))
            self._other = other
            self._stack = stack.pop_all()


def _soon(another: Connect) -> psycopg.Connection:
    """Open a connection, or give up: a pooler lets one wait that it has no session for.

    Raises:
        CancelledError: there is none to be had.
        TimeoutError: it takes too long; it is closed when it comes.
    """
    opening: Future[psycopg.Connection] = Future()

    def open_it() -> None:
        with suppress(psycopg.Error, PositionstoreError):
            connection = another()
            if opening.set_running_or_notify_cancel():
                opening.set_result(connection)
                return
            connection.close()
        opening.cancel()

    Thread(target=open_it, name="verify-opening", daemon=True).start()
    try:
        return opening.result(_PATIENCE)
    except TimeoutError:
        if opening.cancel():
            raise
        return opening.result()


def _require_no_facts(connection: psycopg.Connection) -> None:
    if connection.execute(statement(connection, "has_facts")).fetchone() == (True,):
        raise schema_broken("The log has facts, and not one position came of folding them")


def schema_broken(what: str) -> PositionstoreError:
    """Return the error for a fold that cannot be believed."""
    return PositionstoreError(
        f"{what}; nothing was changed.",
        remedy="The functions of the schema are not what `positionstore migrate` made, or an index "
        "of the log is damaged (REINDEX TABLE events): restore them, for instance from a dump of a "
        "store of the same version.",
    )
