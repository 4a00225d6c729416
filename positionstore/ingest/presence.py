"""Proof of life: for how long a connection was really there."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from positionstore.dimes.recovery import Recovered, RecoverySession
from positionstore.model.facts import Source


class Line(Protocol):
    """What there is to know of a connection."""

    @property
    def gateway(self) -> Source:
        """Where it leads."""
        ...

    @property
    def connected_at(self) -> datetime | None:
        """When the gateway let us in, UTC; None before."""
        ...

    @property
    def last_packet_at(self) -> datetime | None:
        """When the last packet of any kind was received, UTC; None before the first."""
        ...

    @property
    def session(self) -> RecoverySession | None:
        """What it takes to fetch what is emitted after it; None where nothing does."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """What is certain of a connection at one moment.

    Attributes:
        number: tells the connections of this process apart.
        gateway: where it leads.
        started_at: when the gateway let us in, UTC.
        last_packet_at: when the last packet of any kind came, UTC; all that came up to then has
            been handed over.
        end_reason: how it ended; None while it stands.
        recovered: the stretch before it whose missed events were fetched and handed over.
        session: what it takes to fetch what came after all that was handed over.
    """

    number: int
    gateway: Source
    started_at: datetime
    last_packet_at: datetime
    end_reason: str | None
    recovered: Recovered | None = None
    session: RecoverySession | None = None


class _Watched:
    def __init__(self, number: int, connection: Line, started_at: datetime) -> None:
        self.number = number
        self.connection = connection
        self.started_at = started_at
        self.end_reason: str | None = None
        self.recovered: Recovered | None = None

    def proof(self) -> Proof:
        # First whether it has ended: then the time that is read next is the last one.
        end_reason, recovered = self.end_reason, self.recovered
        seen = self.connection.last_packet_at or self.started_at
        return Proof(
            self.number,
            self.connection.gateway,
            self.started_at,
            max(seen, self.started_at),
            end_reason,
            recovered,
            self.connection.session,
        )


class Presence:
    """The connections of this process, told by the connection's side, read by the writer's.

    Args:
        on_change: called after a connection has begun or ended.

    Attributes:
        recovered_events: how many missed events were fetched.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._watched: list[_Watched] = []
        self._lock = threading.Lock()
        self._count = 0
        self.recovered_events = 0
        self._unclaimed: Recovered | None = None
        self._last_packet_at: datetime | None = None

    def began(self, connection: Line) -> None:
        """The gateway has let a connection in."""
        started_at = connection.connected_at
        if started_at is None:
            raise ValueError("this connection was never let in")
        with self._lock:
            self._count += 1
            self._watched.append(_Watched(self._count, connection, started_at))
            self._watched[-1].recovered, self._unclaimed = self._unclaimed, None
        self._on_change()

    def ended(self, connection: Line, reason: str) -> None:
        """A connection is over."""
        with self._lock:
            for watched in self._watched:
                if watched.connection is connection:
                    watched.end_reason = reason
        self._on_change()

    def recovered(self, connection: Line, recovered: Recovered) -> None:
        """What was missed before a connection was fetched, and has been handed over.

        Where the connection is forgotten already, the youngest one vouches for it, or the next.
        """
        with self._lock:
            self.recovered_events += recovered.events
            own = [watched for watched in self._watched if watched.connection is connection]
            for watched in own or self._watched[-1:]:
                watched.recovered = recovered.joined(watched.recovered)
                break
            else:
                self._unclaimed = recovered.joined(self._unclaimed)
        self._on_change()

    def all_ended(self, reason: str) -> None:
        """Whatever was still there is over."""
        with self._lock:
            for watched in self._watched:
                watched.end_reason = watched.end_reason or reason
        self._on_change()

    def proofs(self) -> list[Proof]:
        """Return what is certain now, of each connection that is not yet forgotten."""
        with self._lock:
            return [watched.proof() for watched in self._watched]

    def forget(self, proofs: Sequence[Proof]) -> None:
        """Forget connections whose end is on record."""
        gone = {proof.number for proof in proofs if proof.end_reason is not None}
        with self._lock:
            self._note_packets()
            self._watched = [w for w in self._watched if w.number not in gone]

    @property
    def last_packet_at(self) -> datetime | None:
        """When the last packet of any connection came, forgotten ones included, UTC."""
        with self._lock:
            self._note_packets()
            return self._last_packet_at

    @property
    def is_connected(self) -> bool:
        """Whether a connection is up."""
        with self._lock:
            return any(watched.end_reason is None for watched in self._watched)

    @property
    def count(self) -> int:
        """How many connections have begun."""
        return self._count

    def _note_packets(self) -> None:
        for watched in self._watched:
            seen = watched.connection.last_packet_at or watched.started_at
            self._last_packet_at = max(seen, self._last_packet_at or seen)
