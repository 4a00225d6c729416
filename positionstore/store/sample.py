"""Verification by sample: some positions, taken at random, are folded and compared.

It takes a few seconds however large the log is, and writes nothing, not even a temporary table.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from positionstore.store import projection
from positionstore.store.fold import Difference
from positionstore.store.queries import queries

SIZE: Final = 1_000
"""How many positions are compared."""

SECONDS: Final = 5.0
"""After so long no further ones are begun."""

_AT_ONCE: Final = 100
_TRIES: Final = 200
"""Facts that are drawn from the log; a position that the table lost is found by its facts alone."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was compared.

    Attributes:
        positions: how many positions.
        differences: those whose row is not the fold of their facts.
    """

    positions: int
    differences: tuple[Difference, ...]


def verify(
    connection: psycopg.Connection,
    *,
    size: int = SIZE,
    seconds: float = SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> Sampled:
    """Fold positions taken at random and compare them with ``positions``; change nothing.

    Args:
        connection: a connection in autocommit mode.
        size: how many at most.
        seconds: after how long no further ones are begun.
        monotonic: a clock, seconds.
    """
    began = monotonic()
    compared, differences = 0, list[Difference]()
    names = _drawn(connection, size)
    for first in range(0, len(names), _AT_ONCE):
        if first and monotonic() - began > seconds:
            break
        some = names[first : first + _AT_ONCE]
        differences += projection.verify(connection, position_ids=some)
        compared += len(some)
    return Sampled(compared, tuple(differences))


def _drawn(connection: psycopg.Connection, size: int) -> list[str]:
    """Draw positions: of the table, and of the log."""
    rows = connection.execute(queries("projection")["draw_positions"], {"size": size})
    drawn = dict.fromkeys(name for (name,) in rows)
    rows = connection.execute(queries("projection")["draw_facts"], {"tries": _TRIES})
    drawn |= dict.fromkeys(name for (name,) in rows)
    names = list(drawn)
    random.shuffle(names)
    return names[:size]
