"""What the metrics tell of the store, in parts that are read each by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg.rows import class_row

from positionstore.store import differing, quarantine
from positionstore.store.queries import queries
from positionstore.store.status import Coverage, coverage


@dataclass(frozen=True, slots=True)
class RunTotals:
    """All reconciliations of one state together; the columns of ``reconciliation_runs``."""

    state: str
    runs: int
    requests: int
    retries: int
    missing: int
    stale: int
    divergent: int
    absent_upstream: int
    repaired: int


@dataclass(frozen=True, slots=True)
class LastRuns:
    """The newest of the reconciliations.

    Attributes:
        complete_at: when one last ended that saw all of its scope, UTC.
        full_at: when one of all positions did, UTC.
        unresolved: how many differences the last one left.
        clock_offset: how far the vendor's clock is ahead of ours, seconds.
    """

    complete_at: datetime | None
    full_at: datetime | None
    unresolved: int | None
    clock_offset: float | None


@dataclass(frozen=True, slots=True)
class Runs:
    """The reconciliations.

    Attributes:
        totals: those of each state together.
        last: the newest of them.
        still_different: positions that still differ.
    """

    totals: tuple[RunTotals, ...]
    last: LastRuns
    still_different: int


Part = Coverage | Runs | Mapping[str, int] | int
"""What one statement, or two, can tell."""


def _runs(connection: psycopg.Connection) -> Runs:
    with connection.cursor(row_factory=class_row(RunTotals)) as cursor:
        totals = tuple(cursor.execute(queries("metrics")["runs"]))
    with connection.cursor(row_factory=class_row(LastRuns)) as cursor:
        last = cursor.execute(queries("metrics")["last_runs"]).fetchall()[0]
    return Runs(totals, last, differing.count(connection))


def _phases(connection: psycopg.Connection) -> dict[str, int]:
    nothing = {"pending": 0, "live": 0, "terminal": 0}
    return nothing | dict(connection.execute(queries("metrics")["phases"]).fetchall())


def _invalid(connection: psycopg.Connection) -> int:
    ((count,),) = connection.execute(queries("metrics")["invalid"]).fetchall()
    return int(count)


PARTS: Final[Mapping[str, Callable[[psycopg.Connection], Part]]] = {
    "coverage": coverage,
    "reconciliation": _runs,
    "positions": _phases,
    "invalid_fields": _invalid,
    "quarantine": quarantine.count_waiting,
}
"""What reads each part, over a connection in autocommit mode."""
