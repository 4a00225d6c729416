"""What the status page shows of the store, in parts that are read each by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from positionstore.store import differing
from positionstore.store.differing import StillDiffering
from positionstore.store.engine import filled, is_distributed
from positionstore.store.runs import coverage_begins
from positionstore.store.status import Status, status

Row = dict[str, Any]

_MOST_DIFFERING: Final = 100


@dataclass(frozen=True, slots=True)
class PositionView:
    """All that is known of one position.

    Attributes:
        position: its row; None where there is none, as of one that was archived or is unknown.
        valuation: its latest valuation; None where there is none.
        timeline: its facts, the latest in the order of facts first, each with its ``envelope`` and
            its ``changes``: the ``path`` of each field that differs from the fact before it, and
            its value ``before`` and ``after``, as text; None where there was or is none.
        discrepancies: what the reconciliations found of it, the newest first.
    """

    position: Row | None
    valuation: Row | None
    timeline: list[Row]
    discrepancies: list[Row]


def _coverage(connection: psycopg.Connection) -> Row:
    return {"begins": coverage_begins(connection), "gaps": _rows(connection, "gaps")}


def _reading(name: str) -> Callable[[psycopg.Connection], list[Row]]:
    return lambda connection: _rows(connection, name)


PARTS: Final[
    Mapping[str, Callable[[psycopg.Connection], Status | StillDiffering | Row | list[Row]]]
] = {
    "status": status,
    "rate": _reading("rate"),
    "coverage": _coverage,
    "runs": _reading("runs"),
    "drift": lambda connection: differing.listed(connection, at_most=_MOST_DIFFERING),
    "quarantine": _reading("quarantine"),
}
"""What reads each part, over a connection in autocommit mode."""


def position(connection: psycopg.Connection, position_id: str) -> PositionView | None:
    """Return what is known of a position; None where nothing is."""
    named = {"position_id": position_id}
    timeline = _rows(connection, "timeline", **named)
    event_ids = [row["event_id"] for row in timeline]
    envelopes = {
        row["event_id"]: row["envelope"]
        for row in _rows(connection, "envelopes", **named, event_ids=event_ids)
    }
    changes: dict[str, list[Row]] = {event_id: [] for event_id in event_ids}
    previous = [row["previous"] for row in timeline]
    for change in _rows(connection, "changes", **named, event_ids=event_ids, previous=previous):
        changes[change["event_id"]].append(change)
    found = PositionView(
        position=next(iter(_rows(connection, "position", **named)), None),
        valuation=next(iter(_rows(connection, "valuation", **named)), None),
        timeline=[
            row | {"envelope": envelopes.get(row["event_id"]), "changes": changes[row["event_id"]]}
            for row in timeline
        ],
        discrepancies=_rows(connection, "history", **named),
    )
    known = found.position or found.timeline or found.discrepancies
    return found if known else None


def search(connection: psycopg.Connection, text: str) -> list[Row]:
    """Return the positions whose id, wallet or market a text is, the newest first, 100 at most."""
    return _rows(connection, "search", text=text)


def quarantined(connection: psycopg.Connection, quarantine_id: int) -> Row | None:
    """Return an input in quarantine, with the first 20,000 bytes of it; None where it is not."""
    return next(iter(_rows(connection, "quarantined", quarantine_id=quarantine_id)), None)


def _rows(connection: psycopg.Connection, name: str, **values: object) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(filled("board", name, is_distributed(connection)), values).fetchall()
