"""What goes wrong, and when: a pure function of the seed."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

TRACKS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "database": {
        "postgres killed (kill -9)": (0.0, 2.0),
        "postgres stopped at once (SIGQUIT)": (0.0, 2.0),
        "postgres shut down and started": (0.0, 2.0),
        "disk slow (commit_delay)": (1.0, 4.0),
        "disk stalled (SIGSTOP)": (0.5, 3.0),
        "disk full": (1.0, 4.0),
    },
    "way to the database": {
        "database link cut": (0.0, 0.0),
        "database link refused": (0.2, 3.0),
        "database link delayed": (0.5, 3.0),
        "database link half-closed": (0.0, 0.0),
        "database link stalled": (0.2, 3.0),
    },
    "processes": {
        "ingester killed (kill -9)": (0.0, 1.0),
        "service killed, reconciler in it (kill -9)": (0.0, 1.0),
        "rolling restart (SIGTERM)": (0.0, 0.5),
        "reconciler killed (kill -9)": (0.1, 1.5),
        "backfill killed (kill -9)": (0.1, 1.5),
        "process duplicated": (1.0, 4.0),
    },
    "gateway": {
        "gateway disconnects politely": (0.0, 0.0),
        "gateway cuts the connections": (0.0, 0.0),
        "gateway refuses connections": (0.3, 3.0),
        "gateway frozen (SIGSTOP)": (0.5, 7.0),
        "gateway refuses the key": (0.3, 1.5),
        "gateway sends nonsense": (0.0, 0.0),
        "gateway link half-closed": (0.0, 0.0),
        "gateway link stalled": (0.5, 7.0),
        "gateway link delayed": (0.5, 3.0),
    },
    "stream": {
        "events duplicated": (1.0, 4.0),
        "events reordered": (1.0, 4.0),
        "events lost": (0.5, 2.0),
        "emitters' clocks skewed": (1.0, 4.0),
    },
    "clocks": {
        "our clocks set": (0.5, 4.0),
    },
    "rest": {
        "REST errors": (1.0, 4.0),
        "REST throttled": (1.0, 4.0),
        "REST connections reset": (1.0, 4.0),
        "REST slow": (1.0, 4.0),
        "REST behind the stream": (1.0, 4.0),
        "REST page failing": (1.0, 4.0),
        "REST list empty": (0.5, 2.0),
    },
    "recovery": {
        "gateway leaves connections half-open": (0.0, 0.0),
        "gateway away for a while": (0.5, 4.0),
        "gateway forgets the sessions": (0.5, 2.0),
        "gateway keeps sessions in Redis streams": (1.0, 4.0),
    },
    "REST clock": {
        "REST clock ahead": (1.0, 6.0),
        "REST clock behind": (1.0, 6.0),
        "REST clock wrong now and then": (1.0, 6.0),
    },
}
"""For each track its faults, and how long each lasts, from and to, in seconds.

Tracks run side by side, the faults of one after the other.
"""

KINDS: Final = tuple(kind for track in TRACKS.values() for kind in track)

_PAUSE: Final = (0.3, 3.0)
_PAUSES: Final = {"processes": (1.0, 8.0)}
"""Where the pause is another one: a process takes seconds to start, and is to live for some."""


@dataclass(frozen=True, order=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        at: seconds after the beginning.
        track: what it belongs to.
        kind: what it is.
        lasts: for how many seconds.
        dice: a number from 0 to 1, for what is left to choose.
    """

    at: float
    track: str
    kind: str
    lasts: float
    dice: float


def draw(seed: str, seconds: float, available: Collection[str] = KINDS) -> list[Fault]:
    """Draw the faults of a scenario, in the order in which they begin.

    Args:
        seed: the same seed gives the same faults.
        seconds: none begins later.
        available: what can be done on this machine.
    """
    faults = []
    for track, kinds in TRACKS.items():
        rng = random.Random(f"positionstore-turmoil-{seed}-{track}")
        deck: list[str] = []
        pause = _PAUSES.get(track, _PAUSE)
        at = rng.uniform(0.0, pause[1])
        while at < seconds:
            if not deck:  # every kind has its turn before one comes again
                deck = rng.sample(list(kinds), len(kinds))
            kind, dice = deck.pop(), rng.random()
            if kind not in available:
                continue
            lasts = rng.uniform(*kinds[kind])
            faults.append(Fault(at, track, kind, lasts, dice))
            at += lasts + rng.uniform(*pause)
    return sorted(faults)
