"""The projection: the fold of each position's facts into its row of ``positions``.

The order of facts itself is in the database (``ranked_facts``, ``fold_facts``); here it is only
asked for: for the positions of a batch, or for the whole log.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import class_row

from positionstore.errors import PositionstoreError
from positionstore.model.fields import FOLDED_COLUMNS
from positionstore.store import pooler
from positionstore.store.locks import APPEND_LOCK, REBUILD_LOCK, session_lock
from positionstore.store.queries import queries

SLICE = 20_000
"""Positions that a rebuild makes between two steps of its progress."""

Progress = Callable[[int, int], None]
"""Takes how many positions are done, and of how many."""


def _columns(prefix: str = "") -> sql.Composed:
    names = [sql.Identifier(*(filter(None, (prefix, name)))) for name in FOLDED_COLUMNS]
    return sql.SQL(", ").join(names)


_ASSIGNMENTS = sql.SQL(", ").join(
    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
    for name in FOLDED_COLUMNS
    if name != "position_id"
)


def statement(name: str, *, has_retractions: bool = True, mark: str = "unnamed") -> sql.Composed:
    """Return a statement of the projection, with the columns of a position put in."""
    and_counts = queries("projection")["and_counts"] if has_retractions else sql.SQL("")
    return queries("projection")[name].format(
        and_counts=and_counts,
        columns=_columns(),
        p_columns=_columns("p"),
        r_columns=_columns("r"),
        assignments=_ASSIGNMENTS,
        rebuilt=sql.Identifier(f"rebuilt_{mark}"),
        folded=sql.Identifier(f"folded_{mark}"),
    )


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


def project_events(
    connection: psycopg.Connection, first_seq: int, last_seq: int, *, has_retractions: bool
) -> int:
    """Fold the events of a seq range into ``positions``; return how many rows changed.

    Args:
        connection: the appender's.
        first_seq: the first of the range.
        last_seq: the last of it.
        has_retractions: whether the log has any; where it has none, none is looked for.
    """
    return connection.execute(
        statement("project_events", has_retractions=has_retractions),
        {"first_seq": first_seq, "last_seq": last_seq},
    ).rowcount


def refold_positions(connection: psycopg.Connection, position_ids: Sequence[str]) -> int:
    """Fold some positions again from all their facts; return how many rows were written."""
    return connection.execute(
        statement("refold_positions"), {"position_ids": list(position_ids)}
    ).rowcount


def drop_emptied(connection: psycopg.Connection, position_ids: Sequence[str]) -> int:
    """Take out the rows of those of some positions that have no fact left; return how many."""
    row = connection.execute(
        statement("drop_emptied"), {"position_ids": list(position_ids)}
    ).fetchone()
    return row[0] if row else 0


def verify(connection: psycopg.Connection, *, progress: Progress | None = None) -> list[Difference]:
    """Fold the whole log again and compare it with ``positions``; change nothing.

    All of it happens in one snapshot of the database, so that appenders may go on meanwhile.

    Args:
        connection: a connection in autocommit mode.
        progress: is told how far it is.

    Returns:
        What differs, by position; empty where the projection is right.
    """
    with (
        _isolated(connection, IsolationLevel.REPEATABLE_READ),
        connection.transaction(),
        _refolded(connection, progress) as refold,
    ):
        refold.prove()
        return refold.differences()


def rebuild(
    connection: psycopg.Connection, *, progress: Progress | None = None
) -> list[Difference]:
    """Fold the whole log again and replace ``positions`` by the result.

    It is built beside, while appenders go on. Then, in one short transaction under the
    appenders' lock, the positions that changed meanwhile are folded once more and the rows that
    differ are written. Readers see the old rows until that transaction commits, then the new ones.

    Args:
        connection: a connection in autocommit mode.
        progress: is told how far it is.

    Returns:
        What differed, and was put right.

    Raises:
        SessionLostError: it was not one session of the server all along; nothing was changed.
        PositionstoreError: no position came of a log that has facts; nothing was changed.
    """
    execute = connection.execute
    with session_lock(connection, REBUILD_LOCK):
        row = execute(statement("last_seq")).fetchone()
        seen = row[0] if row else 0
        with (
            _refolded(connection, progress) as refold,
            # What was committed while it waits for its turn has to be seen.
            _isolated(connection, IsolationLevel.READ_COMMITTED),
            connection.transaction(),
        ):
            execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            late = [name for (name,) in execute(statement("positions_since"), {"seq": seen})]
            if late:
                refold.fold_again(late)
            refold.prove()
            if differences := refold.differences():
                refold.swap_in()
        return differences


@contextmanager
def _isolated(connection: psycopg.Connection, level: IsolationLevel) -> Iterator[None]:
    previous = connection.isolation_level
    connection.isolation_level = level
    try:
        yield
    finally:
        if not connection.closed:
            connection.isolation_level = previous


class _Refold:
    """The log folded again, into temporary tables of this object's own."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._mark = secrets.token_hex(8)
        self._backend = pooler.backend(connection)
        self._rows = 0

    def fold(self, progress: Progress | None) -> None:
        """Make the tables, and fold the whole log."""
        self._execute("create_rebuilt")
        total = self._execute("fold_everything").rowcount
        self._execute("index_folded")
        for first in range(1, total + 1, SLICE):
            last = min(first + SLICE - 1, total)
            self._rows += self._execute("rebuild_slice", first=first, last=last).rowcount
            if progress is not None:
                progress(last, total)
        self._execute("analyze_rebuilt")

    def fold_again(self, position_ids: Sequence[str]) -> None:
        """Fold some positions once more, which were folded too early."""
        self._rows -= self._execute("forget_rebuilt", position_ids=position_ids).rowcount
        self._rows += self._execute("rebuild_positions", position_ids=position_ids).rowcount

    def prove(self) -> None:
        """See that the tables hold what was made here, all of it, and that it can be true.

        Raises:
            SessionLostError: another session of the server answers than the one that made them.
            PositionstoreError: no position came of a log that has facts.
        """
        backend, rows, has_facts = self._execute("made").fetchone() or (None, None, None)
        if backend != self._backend or rows != self._rows:
            raise pooler.lost()
        if has_facts and not rows:
            raise PositionstoreError(
                "The log has facts, and not one position came of folding them; nothing was "
                "changed.",
                remedy="The functions of the schema are not what `positionstore migrate` made: "
                "restore them, for instance from a dump of a store of the same version.",
            )

    def differences(self) -> list[Difference]:
        """Return where ``positions`` is not what was made."""
        with self._connection.cursor(row_factory=class_row(Difference)) as cursor:
            return cursor.execute(statement("differences", mark=self._mark)).fetchall()

    def swap_in(self) -> None:
        """Put what was made in the place of what stood."""
        self._execute("drop_unfounded")
        self._execute("swap_in")

    def drop(self) -> None:
        """Leave nothing behind."""
        self._execute("drop_rebuilt")
        self._execute("drop_folded")

    def misses(self, error: psycopg.Error) -> bool:
        """Whether what is not there is a table that was made here: in another session, then."""
        return self._mark in str(error) or "pg_temp" in str(error)

    def _execute(self, name: str, **values: object) -> psycopg.Cursor:
        return self._connection.execute(statement(name, mark=self._mark), values or None)


@contextmanager
def _refolded(connection: psycopg.Connection, progress: Progress | None) -> Iterator[_Refold]:
    refold = _Refold(connection)
    try:
        refold.fold(progress)
        yield refold
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        if refold.misses(error):
            raise pooler.lost() from None
        raise
    finally:
        if not connection.broken and connection.info.transaction_status != _FAILED:
            refold.drop()


_FAILED = psycopg.pq.TransactionStatus.INERROR
