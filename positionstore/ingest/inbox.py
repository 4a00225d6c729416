"""Between the connection, which must never wait, and the writer, which takes what is there."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from positionstore.model.facts import Rejected

MAX_BATCH_LENGTH: Final = 128 * 1024 * 1024
"""About how many characters one batch may have, however few events they are."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a connection handed over.

    Attributes:
        packet: an event's packet as it came, or what is wrong with a frame.
        received_at: when it was received, UTC.
    """

    packet: str | Rejected
    received_at: datetime

    def __len__(self) -> int:
        """Return about how much memory it takes, in bytes."""
        return len(self.packet.raw if isinstance(self.packet, Rejected) else self.packet)


@dataclass(frozen=True, slots=True)
class Taken:
    """What the writer took at once.

    Attributes:
        arrivals: in the order in which they came.
        emptied: whether nothing was left behind.
        closed: whether nothing will follow.
        woken: whether somebody asked the taker to look around.
    """

    arrivals: list[Arrival]
    emptied: bool
    closed: bool
    woken: bool


class Inbox:
    """A queue that batches by itself: whoever takes gets all there is, up to a limit.

    One thread puts, another takes. Putting never waits. A quiet stream is taken event by event,
    a burst in bulk.
    """

    def __init__(self) -> None:
        self._arrivals: deque[Arrival] = deque()
        self._condition = threading.Condition()
        self._waiting = False
        self._woken = False
        self._closed = False

    def __len__(self) -> int:
        """Return how many arrivals wait to be taken."""
        return len(self._arrivals)

    def put(self, packet: str | Rejected, received_at: datetime) -> None:
        """Add an arrival."""
        self._arrivals.append(Arrival(packet, received_at))
        # The taker sets the flag first and looks at the queue then: no arrival is overlooked.
        if self._waiting:
            with self._condition:
                self._condition.notify()

    def wake(self) -> None:
        """Let a waiting taker go on, though nothing has arrived."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def close(self) -> None:
        """Nothing will follow; what is there can still be taken."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def take(self, limit: int, timeout: float) -> Taken:
        """Take what is there, at most ``limit``; where nothing is, wait for the first arrival.

        Args:
            limit: how many to take at most.
            timeout: how long to wait for the first, seconds.
        """
        with self._condition:
            self._waiting = True
            if not (self._arrivals or self._woken or self._closed):
                self._condition.wait(timeout)
            woken, closed = self._woken, self._closed
            self._waiting = self._woken = False
        arrivals: list[Arrival] = []
        length = 0
        while self._arrivals and len(arrivals) < limit and length < MAX_BATCH_LENGTH:
            arrival = self._arrivals.popleft()
            length += len(arrival)
            arrivals.append(arrival)
        emptied = not self._arrivals
        return Taken(arrivals, emptied, closed and emptied, woken)
