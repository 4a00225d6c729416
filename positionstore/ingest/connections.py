"""For how long each connection was really there, which is what coverage is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from positionstore.dimes.recovery import Recovered, RecoverySession
from positionstore.model.facts import Source


class ConnectionInfo(Protocol):
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
class Liveness:
    """What is certain of a connection at one moment.

    Attributes:
        number: tells the connections of this process apart.
        gateway: where it leads.
        started_at: when the gateway let us in, UTC.
        last_packet_at: when the last packet of any kind came, UTC; all that came up to then has
            been put into the buffer.
        end_reason: how it ended; None while it stands.
        recovered: the stretch before it whose missed events were fetched and put into the buffer.
        session: what it takes to fetch what came after all that is in the buffer.
    """

    number: int
    gateway: Source
    started_at: datetime
    last_packet_at: datetime
    end_reason: str | None
    recovered: Recovered | None = None
    session: RecoverySession | None = None


class _Tracked:
    def __init__(self, number: int, connection: ConnectionInfo, started_at: datetime) -> None:
        self.number = number
        self.connection = connection
        self.started_at = started_at
        self.end_reason: str | None = None
        self.recovered: Recovered | None = None

    @property
    def last_packet_at(self) -> datetime:
        return max(self.connection.last_packet_at or self.started_at, self.started_at)

    def liveness(self) -> Liveness:
        return Liveness(
            self.number,
            self.connection.gateway,
            self.started_at,
            self.last_packet_at,
            self.end_reason,
            self.recovered,
            self.connection.session,
        )


class ConnectionTracker:
    """The connections of this process, until the end of each is on record.

    Args:
        on_change: called after a connection has begun or ended.

    Attributes:
        count: how many connections have begun.
        recovered_events: how many missed events were fetched.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._tracked: list[_Tracked] = []
        self.count = 0
        self.recovered_events = 0
        self._unclaimed: Recovered | None = None
        self._last_packet_at: datetime | None = None

    def began(self, connection: ConnectionInfo) -> None:
        """The gateway has let a connection in."""
        started_at = connection.connected_at
        if started_at is None:
            raise ValueError("this connection was never let in")
        self.count += 1
        self._tracked.append(_Tracked(self.count, connection, started_at))
        self._tracked[-1].recovered, self._unclaimed = self._unclaimed, None
        self._on_change()

    def ended(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection is over."""
        for each in self._tracked:
            if each.connection is connection:
                each.end_reason = reason
        self._on_change()

    def recovered(self, connection: ConnectionInfo, recovered: Recovered) -> None:
        """What was missed before a connection was fetched, and is in the buffer.

        Where the connection is forgotten already, the youngest one vouches for it, or the next.
        Where it was a part of what was missed, none does.
        """
        self.recovered_events += recovered.events
        if not recovered.is_whole:
            return
        own = [each for each in self._tracked if each.connection is connection]
        for each in own or self._tracked[-1:]:
            each.recovered = recovered.joined(each.recovered)
            break
        else:
            self._unclaimed = recovered.joined(self._unclaimed)
        self._on_change()

    def all_ended(self, reason: str) -> None:
        """Whatever was still there is over."""
        for each in self._tracked:
            each.end_reason = each.end_reason or reason
        self._on_change()

    def liveness(self) -> list[Liveness]:
        """Return what is certain now, of each connection that is not yet forgotten."""
        return [each.liveness() for each in self._tracked]

    def forget(self, recorded: Sequence[Liveness]) -> None:
        """Forget connections whose end is on record."""
        self._last_packet_at = self.last_packet_at
        gone = {each.number for each in recorded if each.end_reason is not None}
        self._tracked = [each for each in self._tracked if each.number not in gone]

    @property
    def last_packet_at(self) -> datetime | None:
        """When the last packet of any connection came, forgotten ones included, UTC."""
        seen = [each.last_packet_at for each in self._tracked]
        if self._last_packet_at is not None:
            seen.append(self._last_packet_at)
        return max(seen, default=None)

    @property
    def is_connected(self) -> bool:
        """Whether a connection is up."""
        return any(each.end_reason is None for each in self._tracked)
