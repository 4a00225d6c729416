"""The unwinds and partial closes that the vendor lists of a position, beside the log."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import psycopg
from psycopg.rows import class_row

from positionstore.store.queries import queries

MOST_AT_ONCE: Final = 2_000
"""How many one run asks for; the next goes on."""


@dataclass(frozen=True, slots=True)
class Due:
    """A sub-resource to ask for.

    Attributes:
        position_id: the position.
        resource: ``unwinds`` or ``partial_closes``.
        wallet_address: whose it is; None where that is unknown.
        is_final: whether the position has ended.
        token_units: its size, as the store has it.
    """

    position_id: str
    resource: str
    wallet_address: str | None
    is_final: bool
    token_units: Decimal | None


def due(connection: psycopg.Connection, since: datetime | None) -> list[Due]:
    """Return what to ask for; of what ended, only what was received since then (our clock, UTC)."""
    with connection.cursor(row_factory=class_row(Due)) as cursor:
        cursor.execute(queries("sub_resources")["due"], {"since": since, "at_most": MOST_AT_ONCE})
        return cursor.fetchall()


def keep(
    connection: psycopg.Connection,
    what: Due,
    asked_at: datetime,
    *,
    body: str | None = None,
    problem: str | None = None,
) -> None:
    """Keep an answer, or why there was none."""
    connection.execute(
        queries("sub_resources")["keep"],
        {
            "position_id": what.position_id,
            "resource": what.resource,
            "asked_at": asked_at,
            "token_units": what.token_units,
            "is_final": what.is_final and problem is None,
            "problem": problem,
            "body": body,
        },
    )
