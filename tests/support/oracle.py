"""A second opinion: the order of facts in a few lines of plain Python, for comparison.

It imports nothing of the product, and shares no table and no code with it. It is written from
the rules alone:

- a fact's place is ``(phase, created_at, status precedence, type precedence, event_id)``, the
  greatest is the current state, and ``event_id`` is compared by its bytes;
- a status without a rule is live with precedence 0, a type without one has precedence 0;
- of several snapshots only the one with the latest as-of counts (of those with the same as-of,
  the greatest in the order of facts);
- what a snapshot overrules is gone: every event created up to its ``supersedes_before``;
- what a retraction names is as if it had not been received, unless that retraction is itself
  retracted; a retraction says nothing else;
- a fact without a status is a notification, and says nothing of any position.

At a moment of valid time a position is what its moments say: those that the body of its current
state tells, and where that tells none, those of the facts that show it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

STATUSES = {
    "pending": ("pending", 10),
    "open": ("live", 20),
    "unwinding": ("live", 30),
    "closing": ("live", 40),
    "settling": ("live", 50),
    "cancelled": ("terminal", 60),
    "closed": ("terminal", 70),
    "settled": ("terminal", 80),
    "liquidated": ("terminal", 90),
}
TYPES = [
    "position.created",
    "position.opening",
    "position.opened",
    "position.force_unwound",
    "position.partial_close_requested",
    "position.partial_close_initiated",
    "position.partial_close_aborted",
    "position.partial_closed",
    "position.settlement_state_changed",
    "position.close_requested",
    "position.closed",
    "position.settled",
    "position.liquidated",
    "position.reverted",
    "position.cancelled",
    "snapshot",
]
PHASES = ["pending", "live", "terminal"]


@dataclass(frozen=True)
class Fact:
    """What the order of facts looks at, and the body it carries as a mark to know it by."""

    position_id: str
    event_id: str
    type: str
    status: str | None
    created_at: datetime
    supersedes_before: datetime | None = None
    received_at: datetime | None = None
    retracts: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class State:
    """A position as the facts leave it."""

    status: str
    phase: str
    event_id: str
    type: str
    created_at: datetime
    supersedes_before: datetime | None


def is_retracted(fact: Fact, among: Iterable[Fact]) -> bool:
    """Whether a fact is as if it had not been received."""
    return any(
        other.position_id == fact.position_id
        and other.retracts == fact.event_id
        and not is_retracted(other, among)
        for other in among
        if other.retracts is not None
    )


@dataclass(frozen=True)
class Rules:
    """The two tables of precedence; an operator may add to them."""

    statuses: Mapping[str, tuple[str, int]] = field(default_factory=lambda: dict(STATUSES))
    types: Mapping[str, int] = field(
        default_factory=lambda: {name: 10 * place for place, name in enumerate(TYPES, start=1)}
    )

    def place(self, fact: Fact) -> tuple[int, datetime, int, int, bytes]:
        """Return where a fact stands; the greater wins."""
        phase, status_precedence = self.statuses.get(fact.status or "", ("live", 0))
        return (
            PHASES.index(phase),
            fact.created_at,
            status_precedence,
            self.types.get(fact.type, 0),
            fact.event_id.encode(),
        )

    def fold(self, facts: Iterable[Fact]) -> dict[str, State]:
        """Return the state of every position that the facts speak of."""
        by_position: dict[str, set[Fact]] = {}
        every = set(facts)
        for fact in every:
            if fact.status is not None and not is_retracted(fact, every):
                by_position.setdefault(fact.position_id, set()).add(fact)
        return {
            position_id: self._state(its_facts) for position_id, its_facts in by_position.items()
        }

    def valid_at(
        self, facts: Iterable[Fact], moment: datetime
    ) -> dict[str, tuple[str, datetime | None, datetime | None]]:
        """Return the status of every position at a moment, and when it had opened and ended."""
        every = set(facts)
        then = self.fold(
            fact for fact in every if fact.retracts is not None or fact.created_at <= moment
        )
        found = {}
        for position_id, state in self.fold(every).items():
            its = [
                fact
                for fact in every
                if fact.position_id == position_id
                and fact.status is not None
                and not is_retracted(fact, every)
            ]
            (last,) = [fact for fact in its if fact.event_id == state.event_id]
            opened, ended = self._opened(last, its), self._ended(last, its)
            opened = opened if opened and opened <= moment else None
            ended = ended if ended and ended <= moment else None
            by_facts = then.get(position_id)
            if ended:
                status = state.status
            elif opened:
                status = by_facts.status if by_facts and by_facts.phase == "live" else "open"
            elif by_facts:
                status = by_facts.status if by_facts.phase == "pending" else "pending"
            else:
                continue
            found[position_id] = (status, opened, ended)
        return found

    def _phase(self, fact: Fact) -> str:
        return self.statuses.get(fact.status or "", ("live", 0))[0]

    def _opened(self, last: Fact, its: list[Fact]) -> datetime | None:
        if self._phase(last) == "pending":
            return None
        if last.opened_at:
            return last.opened_at
        shown = [f for f in its if self._phase(f) != "pending" and f.status != "cancelled"]
        announced = [f for f in shown if f.type == "position.opened"]
        return min((f.created_at for f in announced or shown), default=None)

    def _ended(self, last: Fact, its: list[Fact]) -> datetime | None:
        if self._phase(last) != "terminal":
            return None
        if last.closed_at:
            return last.closed_at
        snapshots = [f for f in its if f.supersedes_before is not None]
        events = [f.created_at for f in its if f not in snapshots and f.status == last.status]
        if snapshots:
            latest = max(snapshots, key=lambda f: (f.created_at, self.place(f)))
            assert latest.supersedes_before is not None
            after = [at for at in events if at > latest.supersedes_before]
        else:
            after = events
        if events:
            return min(after) if after else max(events)
        # Of two snapshots with one as-of the greater counts.
        in_order = sorted(snapshots, key=lambda f: (f.created_at, self.place(f)))
        undone = max((n for n, f in enumerate(in_order) if f.status != last.status), default=-1)
        return in_order[undone + 1].created_at

    def _state(self, facts: set[Fact]) -> State:
        snapshots = [fact for fact in facts if fact.supersedes_before is not None]
        candidates = [fact for fact in facts if fact.supersedes_before is None]
        overruled_to: datetime | None = None
        if snapshots:
            last_as_of = max(snapshot.created_at for snapshot in snapshots)
            latest = max(
                (snapshot for snapshot in snapshots if snapshot.created_at == last_as_of),
                key=self.place,
            )
            overruled_to = latest.supersedes_before
            assert overruled_to is not None
            candidates = [fact for fact in candidates if fact.created_at > overruled_to]
            candidates.append(latest)
        winner = max(candidates, key=self.place)
        assert winner.status is not None
        return State(
            status=winner.status,
            phase=self.statuses.get(winner.status, ("live", 0))[0],
            event_id=winner.event_id,
            type=winner.type,
            created_at=winner.created_at,
            supersedes_before=overruled_to,
        )
