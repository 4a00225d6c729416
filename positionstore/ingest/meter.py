"""What the ingester counts while it works, for those who show it.

Counting is done for each batch at the place where it happens, with plain numbers: they are written
in the ingester's event loop, and may be read in any thread.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from positionstore.model.facts import Event, Received
from positionstore.store.appender import Appended

DELAYS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Upper bounds of the delays, seconds."""

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of how long a commit takes, seconds."""

SIZES: Final = (1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0, 100_000.0)
"""Upper bounds of how many inputs a commit brings."""

POSITIONS: Final = 10_000
"""Of how many positions at least the newest event is remembered, to tell what is out of order."""

_SAMPLES: Final = 64
"""How many inputs of a batch are timed; each stands for its share, and the last one always."""

_DAY: Final = 86_400.0


class Histogram:
    """Counts values by upper bounds.

    Args:
        bounds: the upper bounds, rising.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += times
        self._sum += value * times

    def read(self) -> tuple[list[int], float]:
        """Return how many values each bound was the first to cover, those beyond last; the sum."""
        return list(self._counts), self._sum


@dataclass(frozen=True, slots=True)
class Standing:
    """How an ingester stands at one moment.

    Attributes:
        connected: whether a connection to the gateway is up.
        connections: how many connections there have been.
        recovered: events that the gateway had emitted during an outage, and replayed.
        last_packet_at: when the last packet of any kind came, pings included, UTC.
        in_memory: inputs that are neither in the database nor in the spool.
        spooled: inputs that are in this process's spool.
        spool_bytes: how much of the disk the spool takes.
        has_room: whether there is room for more inputs.
    """

    connected: bool = False
    connections: int = 0
    recovered: int = 0
    last_packet_at: datetime | None = None
    in_memory: int = 0
    spooled: int = 0
    spool_bytes: int = 0
    has_room: bool = True


class Meter:
    """The numbers of one ingester, and of the one that follows it in the same process.

    Args:
        clock: tells the time, UTC.
        monotonic: a clock, seconds.

    Attributes:
        received: inputs that came from the gateway.
        out_of_order: of these, events created before another of their position that had come.
        last_event_at: when the last event was received, UTC.
        appended: events that are new in the log.
        duplicates: events that the log had already.
        quarantined: inputs that went to quarantine.
        database_failures: attempts on the database that failed and were made again.
        database_up: whether the last attempt succeeded; None before the first.
        event_delay: seconds from ``created_at`` to ``received_at``.
        commit_delay: seconds from ``received_at`` to the commit.
        commit_size: inputs of a commit.
        commit_duration: seconds that a commit took, waiting for its turn included.
        standing: how the ingester stands now.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self.received = self.out_of_order = 0
        self.appended = self.duplicates = self.quarantined = 0
        self.database_failures = 0
        self.database_up: bool | None = None
        self.last_event_at: datetime | None = None
        self.event_delay = Histogram(DELAYS)
        self.commit_delay = Histogram(DELAYS)
        self.commit_size = Histogram(SIZES)
        self.commit_duration = Histogram(DURATIONS)
        self.standing: Callable[[], Standing] = Standing
        self._newest: dict[str, datetime] = {}
        self._older: dict[str, datetime] = {}
        self._in_hand: deque[tuple[datetime, int]] = deque()

    # --- what has arrived

    def count_received(self, batch: Sequence[Received]) -> None:
        """Count what has arrived, in the order in which it came."""
        newest, older = self._newest, self._older
        for received in batch:
            what = received.what
            if type(what) is Event:
                position, created_at = what.position_id, what.created_at
                before = newest.get(position) or older.get(position)
                if before is None or created_at >= before:
                    newest[position] = created_at
                else:
                    self.out_of_order += 1
        if len(newest) > POSITIONS:
            self._newest, self._older = {}, newest
        for received, count in _samples(batch):
            if isinstance(received.what, Event):
                self.last_event_at = received.received_at
                delay = received.received_at - received.what.created_at
                self.event_delay.observe(_within_a_day(delay), count)
        self.received += len(batch)

    # --- what goes into the database

    def take(self, batch: Sequence[Received]) -> None:
        """Note when inputs were received that are on their way into the database."""
        for received, count in _samples(batch):
            self._in_hand.append((received.received_at, count))

    def forget(self) -> None:
        """What was taken and is not committed will be taken once more."""
        self._in_hand.clear()

    def count_committed(self, result: Appended) -> None:
        """Count a transaction: what it brings are the oldest of the inputs that were taken."""
        self.appended += result.appended
        self.duplicates += result.duplicates
        self.quarantined += result.quarantined
        self.commit_size.observe(result.received)
        self.commit_duration.observe(result.seconds)
        now, left = self._clock(), result.received
        while left > 0 and self._in_hand:
            at, count = self._in_hand.popleft()
            if count > left:
                self._in_hand.appendleft((at, count - left))
                count = left
            left -= count
            self.commit_delay.observe(_within_a_day(now - at), count)

    def note_database(self, *, works: bool) -> None:
        """Note how an attempt on the database ended."""
        self.database_failures += not works
        self.database_up = works


def _samples(batch: Sequence[Received]) -> Iterator[tuple[Received, int]]:
    """Yield inputs of a batch, and how many each stands for: all of a small one."""
    step = -(-len(batch) // _SAMPLES) or 1
    for first in range(0, len(batch), step):
        last = min(first + step, len(batch)) - 1
        yield batch[last], last - first + 1


def _within_a_day(delay: timedelta) -> float:
    # Of two clocks one may be ahead, and one wrong date must not spoil a sum.
    return min(max(delay.total_seconds(), 0.0), _DAY)
