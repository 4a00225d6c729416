"""The faults between the world and its clients."""

import heapq
import random
from dataclasses import asdict, dataclass, fields

from positionstore.sandbox.world import Emission

_SECOND = 1_000_000
_MOST_OFFSET = 900 * 365.25 * 86_400
_PROBABILITIES = (
    "duplicates",
    "reordering",
    "lost",
    "rest_errors",
    "rest_throttled",
    "rest_resets",
    "rest_clock_wrong",
)


@dataclass(slots=True)
class Faults:
    """The active faults; all are off by default and may be changed at any time.

    Attributes:
        duplicates: probability that an event is sent twice.
        reordering: probability that a copy of an event is delayed.
        reorder_window: the maximum delay in seconds.
        lost: probability that an event is never sent, although the world has changed.
        disconnect_every: seconds between two disconnects of every client, on average; 0 is never.
        disconnect_how: ``server`` (a polite disconnect packet), ``transport`` (the connection is
            cut), ``half-open`` (only the client knows that it is over) or ``both`` (one of the
            first two, by chance).
        clock_skew: seconds by which the clocks of the emitters of events differ at most.
        refuse_connections: every Socket.IO request is answered with 503.
        refuse_api_keys: no API key is accepted.
        refuse_tokens: no user token is accepted.
        rest_latency: the minimum seconds a REST request takes.
        rest_jitter: up to this many seconds more.
        rest_errors: probability that a REST request fails with a 5xx.
        rest_throttled: probability that it is answered with 429.
        retry_after: the seconds a 429 asks to wait; negative leaves the header out.
        retry_after_as_date: whether it says so as an HTTP date.
        rest_resets: probability that the connection is reset instead of an answer.
        replica_lag: REST answers from the state of so many seconds ago.
        failing_page: that page of every walk (the first is 1) always fails; 0 is none.
        empty_list: ``GET /positions`` returns an empty list.
        unlisted: ids that the list leaves out, though ``GET /positions/{id}`` knows them.
        hidden: ids that REST does not know at all.
        omit_date: REST answers have no ``Date`` header.
        rest_clock_offset: seconds by which the ``Date`` header of REST answers is wrong.
        rest_clock_wrong: probability that an answer has the wrong time.
        recovery_adapter: ``memory`` or ``redis-streams``: the form of the offsets, and whether a
            session can be recovered several times or once.
        recovery_forgets: no session can be recovered.
        recovered_deaf: a recovered connection stays open but receives no events.
    """

    duplicates: float = 0.0
    reordering: float = 0.0
    reorder_window: float = 2.0
    lost: float = 0.0
    disconnect_every: float = 0.0
    disconnect_how: str = "both"
    clock_skew: float = 0.0
    refuse_connections: bool = False
    refuse_api_keys: bool = False
    refuse_tokens: bool = False
    rest_latency: float = 0.0
    rest_jitter: float = 0.0
    rest_errors: float = 0.0
    rest_throttled: float = 0.0
    retry_after: float = 1.0
    retry_after_as_date: bool = False
    rest_resets: float = 0.0
    replica_lag: float = 0.0
    failing_page: int = 0
    empty_list: bool = False
    unlisted: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    omit_date: bool = False
    rest_clock_offset: float = 0.0
    rest_clock_wrong: float = 1.0
    recovery_adapter: str = "memory"
    recovery_forgets: bool = False
    recovered_deaf: bool = False

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ValueError with a readable message if a value is invalid."""
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability: a number from 0 to 1.")
        for name in ("reorder_window", "disconnect_every", "rest_latency", "rest_jitter"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is a number of seconds: 0 or more.")
        if self.replica_lag < 0 or self.failing_page < 0:
            raise ValueError("replica_lag and failing_page are 0 or more.")
        if abs(self.rest_clock_offset) > _MOST_OFFSET:
            raise ValueError("rest_clock_offset is a number of seconds, of 900 years at most.")
        if self.recovery_adapter not in {"memory", "redis-streams"}:
            raise ValueError(
                f"recovery_adapter (--recovery-adapter) is memory or redis-streams, not "
                f"{self.recovery_adapter!r}."
            )
        if self.disconnect_how not in {"server", "transport", "half-open", "both"}:
            raise ValueError(
                f"disconnect_how (--disconnect-how) is server, transport, half-open or both, not "
                f"{self.disconnect_how!r}."
            )

    def update(self, changes: dict[str, object]) -> None:
        """Change some faults by name, all or none.

        Raises:
            ValueError: a name is unknown or a value of the wrong kind; nothing was changed.
        """
        now = asdict(self)
        for name, value in changes.items():
            if name not in now:
                raise ValueError(f"There is no fault {name!r}; there are {', '.join(now)}.")
            now[name] = _of_kind(name, value, now[name])
        checked = Faults(**now)
        for each in fields(self):
            setattr(self, each.name, getattr(checked, each.name))

    def as_dict(self) -> dict[str, object]:
        """Every fault by name."""
        return asdict(self)


def _of_kind(name: str, value: object, like: object) -> object:
    if isinstance(like, bool) or isinstance(value, bool):
        if isinstance(like, bool) and isinstance(value, bool):
            return value
    elif isinstance(like, tuple):
        if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            return tuple(value)
    elif isinstance(like, int):
        if isinstance(value, int):
            return value
    elif isinstance(like, float):
        if isinstance(value, int | float):
            return float(value)
    elif isinstance(value, str):
        return value
    raise ValueError(f"{name} cannot be {value!r}.")


class Outbox:
    """Decides how often and when each event is sent, or that it is lost.

    It has its own random numbers, so that faults never change the world.
    """

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self._rng = random.Random(f"positionstore-faults-{seed}")
        self._waiting: list[tuple[int, int, int, Emission]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, emission: Emission) -> bool:
        """Add an event; returns False if it is lost."""
        faults, rng = self.faults, self._rng
        if rng.random() < faults.lost:
            return False
        copies = 2 if rng.random() < faults.duplicates else 1
        for copy in range(copies):
            due = emission.at
            if rng.random() < faults.reordering:
                due += round(rng.random() * faults.reorder_window * _SECOND)
            heapq.heappush(self._waiting, (due, self._number, copy, emission))
            self._number += 1
        return True

    def due(self, now: int | None) -> list[tuple[int, Emission]]:
        """Remove and return what is due at a time (None: everything), with its copy number."""
        out: list[tuple[int, Emission]] = []
        while self._waiting and (now is None or self._waiting[0][0] <= now):
            _, _, copy, emission = heapq.heappop(self._waiting)
            out.append((copy, emission))
        return out

    @property
    def next_due(self) -> int | None:
        """When the next copy is due, microseconds since 1970."""
        return self._waiting[0][0] if self._waiting else None

    def chance(self, probability: float) -> bool:
        """Return whether a fault of a probability happens."""
        return probability > 0 and self._rng.random() < probability

    def spread(self, low: float, high: float) -> float:
        """A random number between two."""
        return self._rng.uniform(low, high)
