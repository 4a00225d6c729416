"""Random histories of positions, as facts for the store and for the oracle.

Moments, statuses and types come from small pools, so that ties of every kind are usual.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from types import MappingProxyType

import psycopg
from hypothesis import strategies as st

from positionstore.model.facts import Event, Received, Retraction, Snapshot, Source
from positionstore.store.appender import Appended, Appender
from support.oracle import STATUSES, TYPES, Fact, State

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
LONG_AGO, FAR_AWAY = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
MOMENTS = [
    *(NOON + timedelta(seconds=seconds) for seconds in (-90, -60, -1, 0, 1, 60, 90)),
    NOON + timedelta(microseconds=1),
    NOON - timedelta(microseconds=1),
    LONG_AGO,
    FAR_AWAY,
]
SNAPSHOT_MOMENTS = MOMENTS[:9]
WINDOWS = [timedelta(0), timedelta(microseconds=1), timedelta(seconds=60), timedelta(hours=1)]
UNKNOWN_STATUSES = ["frozen", "Open", "", "\N{BUG}"]
UNKNOWN_TYPES = ["position.frozen", "Position.closed", "market.closed", "\N{BUG}"]
EVENT_IDS = [
    *("evt_1", "evt_10", "evt_2", "evt_a", "evt_B", "evt_b", "evt-b", "evt_ b", "evt'\"\\"),
    # Their order by bytes is not that of any language, nor that of UTF-16.
    *("evt_\xe4", "evt_z", "evt_\uffee", "evt_\U0001f41b", "E", "~"),
]
_runs = count()
_NO_MORE: st.SearchStrategy[Mapping[str, object]] = st.just({})

Told = tuple[datetime | None, datetime | None]
"""When a body says that its position opened, and that it ended."""


@dataclass(frozen=True)
class Arrival:
    """A fact, as the oracle sees it and as the store is given it."""

    fact: Fact
    what: Event | Snapshot | Retraction
    received_at: datetime


@dataclass(frozen=True)
class Batch:
    """What one transaction appends: events, or snapshots or retractions of one moment."""

    arrivals: Sequence[Arrival]

    def append(self, appender: Appender) -> Appended:
        """Give it to the store."""
        first = self.arrivals[0]
        if isinstance(first.what, Snapshot):
            snapshots = [each.what for each in self.arrivals if isinstance(each.what, Snapshot)]
            return appender.append_snapshots(snapshots, first.received_at)
        if isinstance(first.what, Retraction):
            some = [each.what for each in self.arrivals if isinstance(each.what, Retraction)]
            return appender.append_retractions(some, first.received_at)
        return appender.append(
            [
                Received(each.what, each.received_at, Source.PARTNER)
                for each in self.arrivals
                if isinstance(each.what, Event)
            ]
        )


def new_position_ids(number: int) -> list[str]:
    """Return ids that no other example has."""
    run = next(_runs)
    return [f"dm_pos_{run}_{place}" for place in range(number)]


statuses = st.sampled_from([*STATUSES, *UNKNOWN_STATUSES])
types = st.sampled_from([*TYPES, *UNKNOWN_TYPES])
moments = st.sampled_from(MOMENTS)
told = st.one_of(st.none(), moments)
receptions = st.integers(0, 3).map(lambda hours: NOON + timedelta(hours=hours))


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    positions: int = 5,
    facts: int = 8,
    bodies: st.SearchStrategy[Mapping[str, object]] = _NO_MORE,
) -> list[Arrival]:
    """Return facts of some positions, each once, in no particular order.

    ``bodies`` says what stands in a body besides what decides the order.
    """
    found: list[Arrival] = []
    for position_id in new_position_ids(draw(st.integers(1, positions))):
        # Few statuses and moments a position, so that each is decided by another part of the order.
        own_statuses = st.sampled_from(draw(st.lists(statuses, min_size=1, max_size=3)))
        own_moments = st.sampled_from(draw(st.lists(moments, min_size=1, max_size=4)))
        event_ids = draw(st.lists(st.sampled_from(EVENT_IDS), unique=True, max_size=facts))
        found.extend(
            event(
                position_id,
                event_id,
                type_=draw(types),
                status=None if draw(st.integers(0, 9)) == 9 else draw(own_statuses),
                created_at=draw(own_moments),
                received_at=draw(receptions),
                told=(draw(told), draw(told)),
                more=draw(bodies),
            )
            for event_id in event_ids
        )
        found.extend(
            snapshot(
                position_id,
                draw(own_statuses),
                draw(st.sampled_from(SNAPSHOT_MOMENTS)),
                draw(st.sampled_from(WINDOWS)),
                draw(receptions),
                told=(draw(told), draw(told)),
                more=draw(bodies),
            )
            for _ in range(draw(st.integers(0, 3)))
        )
        names = [each.fact.event_id for each in found if each.fact.position_id == position_id]
        # Half of the positions have none, as nearly all in life; and some name what never came.
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 4]))):
            named = draw(st.sampled_from([*names, "evt_never"]))
            found.append(retraction(position_id, named, draw(moments), draw(receptions)))
            names += [found[-1].fact.event_id] * 3  # chains are to be usual, too
    return _each_once(found)


def book(random: Random, positions: int) -> list[Arrival]:
    """Return the facts of many positions, by an ordinary random generator, in random order."""
    found: list[Arrival] = []
    for position_id in new_position_ids(positions):
        own_statuses = random.choices([*STATUSES, *UNKNOWN_STATUSES], k=random.randint(1, 4))
        own_moments = random.choices(MOMENTS, k=random.randint(1, 5))
        found.extend(
            event(
                position_id,
                event_id,
                type_=random.choice([*TYPES, *UNKNOWN_TYPES]),
                status=random.choice(own_statuses) if random.random() > 0.05 else None,
                created_at=random.choice(own_moments),
                received_at=NOON,
            )
            for event_id in random.sample(EVENT_IDS, random.randint(0, 8))
        )
        found.extend(
            snapshot(
                position_id,
                random.choice(own_statuses),
                random.choice(SNAPSHOT_MOMENTS),
                random.choice(WINDOWS),
                NOON,
            )
            for _ in range(random.choice([0, 0, 1, 1, 2, 3]))
        )
        names = [each.fact.event_id for each in found if each.fact.position_id == position_id]
        for _ in range(random.choice([0, 0, 0, 1, 2])):
            named = random.choice([*names, "evt_never"])
            found.append(retraction(position_id, named, random.choice(MOMENTS), NOON))
            names += [found[-1].fact.event_id] * 3
    found = _each_once(found)
    random.shuffle(found)
    return found


def _each_once(arrivals: Sequence[Arrival]) -> list[Arrival]:
    return list({(each.fact.position_id, each.fact.event_id): each for each in arrivals}.values())


def in_batches(arrivals: Sequence[Arrival], size: int) -> list[Batch]:
    """Return batches of about a size, in which each kind of fact keeps apart."""
    batches: list[Batch] = []
    for first in range(0, len(arrivals), size):
        some = arrivals[first : first + size]
        events = [each for each in some if isinstance(each.what, Event)]
        snapshots = [each for each in some if isinstance(each.what, Snapshot)]
        retractions = [each for each in some if isinstance(each.what, Retraction)]
        batches += [Batch(part) for part in (retractions, events, snapshots) if part]
    return batches


def event(
    position_id: str,
    event_id: str,
    *,
    type_: str,
    status: str | None,
    created_at: datetime,
    received_at: datetime,
    told: Told = (None, None),
    more: Mapping[str, object] = MappingProxyType({}),
) -> Arrival:
    """Return an event; without a status it is a notification that names a position."""
    data = (
        {"code": "hint", "params": {"position_id": position_id}}
        if status is None
        else {"id": position_id, "status": status, "mark": event_id, **_sections(told), **more}
    )
    moment = created_at.isoformat()
    envelope = {"id": event_id, "type": type_, "created_at": moment, "data": data}
    return Arrival(
        Fact(position_id, event_id, type_, status, created_at, None, received_at, None, *told),
        Event(event_id, type_, created_at, position_id, status, json.dumps(envelope).encode()),
        received_at,
    )


def snapshot(
    position_id: str,
    status: str,
    as_of: datetime,
    window: timedelta,
    received_at: datetime,
    *,
    told: Told = (None, None),
    more: Mapping[str, object] = MappingProxyType({}),
) -> Arrival:
    """Return a snapshot; its event_id is of the product's making, and only has to be its own."""
    data = {"id": position_id, "status": status, "mark": str(window), **_sections(told), **more}
    before = as_of - window
    what = Snapshot(position_id, status, as_of, before, json.dumps(data).encode())
    return Arrival(
        Fact(
            position_id, what.event_id, "snapshot", status, as_of, before, received_at, None, *told
        ),
        what,
        received_at,
    )


def _sections(told: Told) -> dict[str, object]:
    opened, closed = (None if moment is None else moment.isoformat() for moment in told)
    return {"entry": {"opened_at": opened}, "result": {"closed_at": closed}}


def retraction(
    position_id: str, retracts: str, created_at: datetime, received_at: datetime
) -> Arrival:
    """Return a retraction; its event_id is of the product's making, and only has to be its own."""
    what = Retraction(position_id, retracts, "A reason.", created_at)
    fact = Fact(
        position_id, what.event_id, "retraction", None, created_at, None, received_at, retracts
    )
    return Arrival(fact, what, received_at)


@st.composite
def deliveries(draw: st.DrawFn, history: Sequence[Arrival]) -> list[Batch]:
    """Return a way in which a history may arrive: any order, some twice, in any batches."""
    again = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    order = draw(st.permutations([*history, *again]))
    batches: list[list[Arrival]] = []
    for arrival in order:
        if batches and _fits(arrival, batches[-1][-1]) and draw(st.integers(0, 3)):
            batches[-1].append(arrival)
        else:
            batches.append([arrival])
    return [Batch(batch) for batch in batches]


def _fits(arrival: Arrival, last: Arrival) -> bool:
    if type(arrival.what) is not type(last.what):
        return False
    return isinstance(arrival.what, Event) or arrival.received_at == last.received_at


def ids_of(history: Sequence[Arrival]) -> list[str]:
    """Return the positions that a history speaks of."""
    return sorted({arrival.fact.position_id for arrival in history})


def rows_of(connection: psycopg.Connection, position_ids: Sequence[str]) -> dict[str, State]:
    """Return what stands in ``positions``, in the oracle's terms."""
    found = connection.execute(
        "SELECT position_id, status, phase, last_event_id, last_event_type, last_event_at,"
        " supersedes_before FROM positions WHERE position_id = ANY (%s)",
        [list(position_ids)],
    )
    return {row[0]: State(*row[1:]) for row in found}


def strays(
    connection: psycopg.Connection, history: Sequence[Arrival], states: Mapping[str, State]
) -> list[str]:
    """Return the positions whose row is not made of the fact that it names, from head to foot."""
    facts = {(each.fact.position_id, each.fact.event_id): each for each in history}
    found = connection.execute(
        "SELECT position_id, data, source, updated_at, misfit_fields FROM positions"
        " WHERE position_id = ANY (%s)",
        [list(states)],
    )
    return [
        position_id
        for position_id, data, source, updated_at, misfit_fields in found
        for arrival in [facts[position_id, states[position_id].event_id]]
        if (data, source, updated_at, misfit_fields)
        != (
            json.loads(arrival.what.envelope)["data"],
            "rest" if isinstance(arrival.what, Snapshot) else "partner",
            arrival.received_at,
            [],
        )
    ]
