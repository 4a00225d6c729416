"""The positions that still differ from ``GET /positions``: one definition for all who ask."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from positionstore.store.queries import queries

_UNRESOLVED: Final = ("unresolved",)
_OPEN: Final = ("unresolved", "in_flux")


@dataclass(frozen=True, slots=True)
class Differing:
    """A position that still differs.

    Attributes:
        position_id: its id.
        run_id: the newest run that looked at it.
        kind: how it differs.
        resolution: ``unresolved``; ``in_flux`` where it changed while the run looked at it.
        fields: what differs: the field, the store's value, and that of ``GET /positions``.
        status: its status in the store; None where the store does not have it.
        wallet_address: whose it is, if known.
        market_ticker: its market, if known.
        market_title: that market's title, if known.
        value_usd_pips: its amount, in pips: its value by the latest valuation, else its entry's
            notional; None where neither is known.
    """

    position_id: str
    run_id: int
    kind: str
    resolution: str
    fields: list[list[str | None]]
    status: str | None
    wallet_address: str | None
    market_ticker: str | None
    market_title: str | None
    value_usd_pips: int | None


@dataclass(frozen=True, slots=True)
class StillDiffering:
    """All that still differ.

    Attributes:
        positions: the largest amounts first.
        in_all: how many there are, listed or not.
        value_usd_pips: all their known amounts together, in pips.
    """

    positions: list[Differing]
    in_all: int
    value_usd_pips: Decimal


def count(connection: psycopg.Connection) -> int:
    """Return how many positions still differ."""
    rows = connection.execute(_statement("count"), {"resolutions": list(_UNRESOLVED)}).fetchall()
    return int(rows[0][0])


def listed(
    connection: psycopg.Connection, *, at_most: int, in_flux: bool = False
) -> StillDiffering:
    """Return the positions that still differ.

    Args:
        connection: to the store.
        at_most: how many to list.
        in_flux: whether those count that changed while a run looked at them, which the next one
            looks at again.
    """
    values = {"resolutions": list(_OPEN if in_flux else _UNRESOLVED), "at_most": at_most}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: list[dict[str, Any]] = cursor.execute(_statement("listed"), values).fetchall()
    in_all = rows[0]["in_all"] if rows else 0
    total = Decimal((rows[0]["value_in_all"] if rows else 0) or 0)
    named = {
        "position_ids": [row["position_id"] for row in rows],
        "run_ids": [row["run_id"] for row in rows],
    }
    found = connection.execute(_statement("fields"), named).fetchall()
    fields = {(position_id, run_id): each for position_id, run_id, each in found}
    for row in rows:
        del row["in_all"], row["value_in_all"]
        row["fields"] = fields.get((row["position_id"], row["run_id"]), [])
    return StillDiffering([Differing(**row) for row in rows], in_all, total)


def _statement(name: str) -> sql.Composed:
    statements = queries("differing")
    return statements[name].format(still_different=statements["still_different"])
