"""The fold of the log beside ``positions``: where the two differ.

The fold of a position is the greatest of its facts that count. So the log need not be sorted: a
row whose fact is outranked by none of them shows the fold. Only positions with a retraction, and
those whose row is in doubt, are folded. Each fact is read as a row, for some thousand positions at
a time, and compared; nothing is written, not even to a temporary table.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from positionstore.errors import PositionstoreError
from positionstore.model.fields import FIELDS, FOLDED_COLUMNS
from positionstore.store.engine import HINTS, is_distributed
from positionstore.store.pair import Connect, Pair
from positionstore.store.queries import queries
from positionstore.store.schema_sql import facts

SLICE = 10_000
"""Positions that are compared between two steps of the progress."""

_NONE_CAME: Final = "The log has facts, but folding them gave no position"

_NO_MEMO: Final = "SET LOCAL enable_memoize = off"
"""The planner would keep each body that it takes apart, in case that it comes again."""

Progress = Callable[[int, int], None]
"""Takes how many positions are done, and of how many."""

_SHARES: Final = {
    "all": "",
    "half": "AND hashtext({}.position_id) < 0",
    "other half": "AND hashtext({}.position_id) >= 0",
}
"""Shares of the positions. An inequality, of which the planner expects a third."""


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
    connection: psycopg.Connection, name: str, *, has_retractions: bool = True, share: str = "all"
) -> sql.SQL:
    """Return a statement of the projection for the engine at hand, with a position's columns."""
    return _statement(name, has_retractions, is_distributed(connection), share)


@cache
def _statement(name: str, has_retractions: bool, distributed: bool, share: str) -> sql.SQL:
    statements = queries("projection")
    and_counts = statements["and_counts"] if has_retractions else sql.SQL("")
    proof = {"is_proved": statements["is_proved"].format(**_proof()), **_proof()}
    composed = statements[name].format(
        and_counts=and_counts,
        in_slices=statements["in_slices"].format(),
        columns=_columns(),
        p_columns=_columns("p"),
        r_columns=_columns("r"),
        assignments=_ASSIGNMENTS,
        differing=_DIFFERING,
        **{f"of_share_{each}": sql.SQL(_SHARES[share].format(each)) for each in "efp"},
        **HINTS[distributed],
        **(proof if name in {"differences", "doubted"} else {}),
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
        left_over: further positions, of which no such fact was found.
    """

    size: int
    in_all: int
    position_ids: str
    seqs: str
    moments: str
    left_over: list[str]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A slice that was compared.

    Attributes:
        size: how many positions.
        found: those that differ.
        left_over: as in the slice.
    """

    size: int
    found: list[Found]
    left_over: list[str]


def compare(
    connection: psycopg.Connection,
    position_ids: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
    another: Connect | None = None,
) -> list[Found]:
    """Fold all positions, or some, and return those whose rows differ; within a transaction.

    Args:
        connection: the transaction's.
        position_ids: the only positions to look at; None for all.
        progress: called with how far it is.
        another: opens a second session, for half of the work.

    Raises:
        PositionstoreError: the facts gave no position, or no row, or not all positions were
            compared.
    """
    found: list[Found] = []
    in_doubt: set[str] = set()
    done, in_all = 0, _count(connection) if position_ids is None else len(position_ids)

    def tell(of_these: int) -> None:
        nonlocal done
        done += of_these
        if progress is not None and of_these:
            progress(done, max(done, in_all))

    # Workers of Citus share the work anyway, and no snapshot reaches them.
    distributed = is_distributed(connection)
    with Pair[_Compared](connection, None if distributed else another) as pair:
        names: list[str] = []
        if position_ids is not None:
            folds = [partial(_folded, list(position_ids))]
        else:
            halves = another is not None and in_all > SLICE
            shares = ("half", "other half") if halves else ("all",)
            steps = [_proved] if distributed else [partial(_standing, each) for each in shares]
            for part in pair.run(steps):
                found += part.found
                in_doubt.update(part.left_over)
                tell(part.size)
            # What was found of them is of a fact that is not theirs.
            found = [each for each in found if each.position_id not in in_doubt]
            in_all = done + len(in_doubt)
            names = sorted(in_doubt)
            folds = [
                partial(_folded, names[first : first + SLICE])
                for first in range(0, len(names), SLICE)
            ]
        unfounded: list[str] = []
        for part in pair.run(folds):
            found += part.found
            unfounded += part.left_over
            tell(part.size + len(part.left_over))
    if unfounded:
        _require_no_facts(connection, unfounded)
    if position_ids is None and done != in_all:
        if not distributed:
            raise schema_broken(_NONE_CAME)
        values = {"position_ids": names}
        rows = connection.execute(statement(connection, "passed_over"), values)
        _require_no_facts(connection, [name for (name,) in rows])
    elif position_ids is None and not done:
        _require_no_facts(connection, None)
    return [*found, *(Found(name, "unfounded", []) for name in unfounded)]


def _proved(connection: psycopg.Connection) -> Iterator[_Compared]:
    """Look at all positions on Citus, where their facts are; left over are those to fold."""
    in_all = _count(connection)
    doubted = {
        position_id: is_shown
        for name in ("retracting", "doubted")
        for position_id, is_shown in connection.execute(statement(connection, name))
    }
    proved = in_all - sum(doubted.values())
    yield _Compared(max(0, proved), [], [*doubted])


def _standing(share: str, connection: psycopg.Connection) -> Iterator[_Compared]:
    yield from _compared(connection, statement(connection, "standing", share=share), {})


def _folded(some: list[str], connection: psycopg.Connection) -> Iterator[_Compared]:
    yield from _compared(connection, statement(connection, "winners"), {"position_ids": some})


def _compared(
    connection: psycopg.Connection, query: sql.SQL, values: Mapping[str, object]
) -> Iterator[_Compared]:
    done = in_all = 0
    connection.execute(_NO_MEMO)
    # On the server's side, so that only one slice is in memory.
    with connection.cursor("slices", row_factory=class_row(_Slice)) as slices:
        slices.itersize = 1
        for each in slices.execute(query, {**values, "slice": SLICE}):
            done, in_all = done + each.size, each.in_all
            found = _differing(connection, each) if each.size else []
            yield _Compared(each.size, found, each.left_over)
    if done != in_all:
        raise PositionstoreError(
            f"Of {in_all:,} positions {done:,} were compared; nothing was changed.",
            remedy="Report it with the versions of PostgreSQL and psycopg.",
        )


def _differing(connection: psycopg.Connection, part: _Slice) -> list[Found]:
    values = {
        "position_ids": part.position_ids,
        "seqs": part.seqs,
        "moments": part.moments,
    }
    with connection.cursor(row_factory=class_row(Found)) as cursor:
        found = cursor.execute(statement(connection, "differences"), values).fetchall()
    if any(each.seq is None for each in found) or (
        # What is joined where workers have it tells of no fact that gives no row.
        is_distributed(connection)
        and connection.execute(statement(connection, "count_rows"), values).fetchone()
        != (part.size,)
    ):
        raise schema_broken("The log has a fact that gives no row")
    return found


def _count(connection: psycopg.Connection) -> int:
    (in_all,) = connection.execute(statement(connection, "count_positions")).fetchone() or (0,)
    return int(in_all)


def _require_no_facts(connection: psycopg.Connection, some: list[str] | None) -> None:
    values = {"position_ids": some}
    if connection.execute(statement(connection, "has_facts"), values).fetchone() == (True,):
        raise schema_broken(_NONE_CAME)


def schema_broken(what: str) -> PositionstoreError:
    """Return the error for a fold that cannot be believed."""
    return PositionstoreError(
        f"{what}; nothing was changed.",
        remedy="The functions of the schema are not what `positionstore migrate` made, or an index "
        "of the log is damaged (REINDEX TABLE events): restore them, for instance from a dump of a "
        "store of the same version.",
    )
