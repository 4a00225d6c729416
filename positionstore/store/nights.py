"""What the nightly runs found."""

from dataclasses import dataclass
from datetime import date, timedelta

import psycopg
from psycopg.rows import class_row

from positionstore.store.queries import queries


@dataclass(frozen=True, slots=True)
class Night:
    """What the nightly runs of a day found, by kind; see ``reconciliation_runs``.

    Attributes:
        day: the day, UTC.
        state: how the last of them ended.
        unresolved: positions that the last of them left different.
    """

    day: date
    state: str
    missing: int
    stale: int
    divergent: int
    absent_upstream: int
    repaired: int
    unresolved: int


def nights(connection: psycopg.Connection, *, last: date, count: int) -> list[Night]:
    """Return the nights of the days up to ``last`` on which there was a run, the oldest first."""
    with connection.cursor(row_factory=class_row(Night)) as cursor:
        return cursor.execute(
            queries("nights")["nights"],
            {"first": last - timedelta(days=count - 1), "last": last},
        ).fetchall()
