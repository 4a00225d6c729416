"""Stream sessions: each connection to a gateway, from its first to its last proof of life."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg

from positionstore.model.facts import Source
from positionstore.store import sequences
from positionstore.store.queries import queries

DEAD_AFTER: Final = timedelta(minutes=1)
"""How old the last proof of life of a living session may be; ``coverage_gaps`` says the same."""


@dataclass(frozen=True, slots=True)
class StreamSession:
    """A row of ``stream_sessions`` that this process owns."""

    session_id: int
    connection: psycopg.Connection

    @classmethod
    def begin(
        cls, connection: psycopg.Connection, *, gateway: Source, at: datetime, once: bool = False
    ) -> "StreamSession":
        """Record that ``gateway`` accepted the connection ``at`` this moment (UTC).

        Args:
            connection: a connection in autocommit mode; the session goes on using it.
            gateway: ``Source.PARTNER`` or ``Source.CUSTOMER``.
            at: when.
            once: whether it may have been recorded before; then it is that row.
        """
        values = {"gateway": gateway, "at": at}
        row = None
        if once:
            row = connection.execute(queries("sessions")["begun"], values).fetchone()
        row = row or sequences.checked(
            connection,
            ["stream_sessions"],
            lambda: connection.execute(queries("sessions")["begin"], values).fetchone(),
        )
        if row is None:
            raise RuntimeError("INSERT ... RETURNING returned nothing")
        return cls(row[0], connection)

    def prove_alive(self, at: datetime) -> None:
        """Record a proof of life: a packet of any kind, received at this moment (UTC)."""
        self.connection.execute(
            queries("sessions")["prove_alive"], {"session_id": self.session_id, "at": at}
        )

    def end(self, at: datetime, reason: str) -> None:
        """Record the last packet received (UTC), and why there were no more."""
        self.connection.execute(
            queries("sessions")["end"],
            {"session_id": self.session_id, "at": at, "reason": reason},
        )

    def recovered(self, *, since: datetime, until: datetime, events: int) -> None:
        """Record that what was missed before the session was fetched; all of it is in the log.

        Args:
            since: the last proof of life before the stretch, UTC.
            until: when the gateway had sent everything, UTC.
            events: how many events came that way.
        """
        self.connection.execute(
            queries("sessions")["recovered"],
            {
                "session_id": self.session_id,
                "since": since,
                "until": until,
                "events": events,
            },
        )

    def count(self, *, received: int, duplicates: int, quarantined: int) -> None:
        """Add what came over the session since the last call."""
        self.connection.execute(
            queries("sessions")["count"],
            {
                "session_id": self.session_id,
                "received": received,
                "duplicates": duplicates,
                "quarantined": quarantined,
            },
        )


def is_live(connection: psycopg.Connection) -> bool:
    """Return whether an ingester is at work, here or on another machine."""
    row = connection.execute(queries("sessions")["is_live"]).fetchone()
    return bool(row and row[0])
