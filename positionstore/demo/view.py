"""The display of a store at work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from positionstore.store.status import status

_LOG: Final = Path(__file__).with_suffix(".sql").read_bytes()
_LIFE: Final = """
    SELECT status FROM position_statuses
    ORDER BY array_position(ARRAY['pending', 'live', 'terminal'], phase), precedence
"""


@dataclass(frozen=True, slots=True)
class StoreView:
    """The store at one moment.

    Attributes:
        events: events in the log.
        positions: positions by status, in lifecycle order, including statuses with 0.
        duplicates: duplicate events.
        out_of_order: events that arrived after a later one of the same position.
        quarantined: inputs in quarantine.
        connections: connections to the gateway.
        recovered: events that the gateway replayed after an outage.
        recovered_gaps: coverage gaps that therefore need no repair.
    """

    events: int
    positions: dict[str, int]
    duplicates: int
    out_of_order: int
    quarantined: int
    connections: int
    recovered: int = 0
    recovered_gaps: int = 0


def look(connection: psycopg.Connection) -> StoreView:
    """Read the state of the store.

    Args:
        connection: a connection in autocommit mode.
    """
    (events, out_of_order), *_ = connection.execute(_LOG).fetchall()
    life = [name for (name,) in connection.execute(_LIFE)]
    found = status(connection)
    return StoreView(
        events=events,
        positions=dict.fromkeys(life, 0) | found.positions_by_status,
        duplicates=found.stream.duplicates,
        out_of_order=out_of_order,
        quarantined=sum(found.quarantine.values()),
        connections=found.stream.sessions,
        recovered=found.stream.recovered,
        recovered_gaps=found.coverage.recovered,
    )
