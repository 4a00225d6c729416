"""How the store and ``GET /positions`` differ; ``store.runs.compare`` finds out."""

from enum import StrEnum


class DiscrepancyKind(StrEnum):
    """How the store and ``GET /positions`` differ.

    ``MISSING``: REST has the position, the store has not. ``STALE``: something happened to it that
    the store does not know. ``DIVERGENT``: nothing happened, yet other values. ``ABSENT_UPSTREAM``:
    the store has it live, REST does not know it. ``UNREADABLE``: the store has it live, no list
    showed it, and what REST answers for it is no position.
    """

    MISSING = "missing"
    STALE = "stale"
    DIVERGENT = "divergent"
    ABSENT_UPSTREAM = "absent_upstream"
    UNREADABLE = "unreadable"
