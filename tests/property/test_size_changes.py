"""Whatever the order of arrival: the changes of size are those of the facts in their order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import NOON, Arrival, deliveries, histories, ids_of
from support.oracle import Fact, Rules, is_retracted
from support.profiles import tries

from positionstore.model.facts import Snapshot
from positionstore.store.appender import Appender
from positionstore.store.database import Store

RULES = Rules()
REDUCTIONS = {"position.force_unwound": "unwind", "position.partial_closed": "partial_close"}

units = st.sampled_from(["100", "80", "60", "0", None, 7, "9" * 39])
pips = st.sampled_from(["1000", "800", None, "no number"])
sections = st.fixed_dictionaries(
    {},
    optional={
        "current": st.fixed_dictionaries(
            {},
            optional={
                "position_token_units": units,
                "notional_usd_pips": pips,
                "book_leverage_bps": st.sampled_from([20_000, 15_000]),
            },
        ),
        "entry": st.fixed_dictionaries(
            {},
            optional={
                "position_token_units": units,
                "notional_usd_pips": pips,
                "leverage_bps": st.just(30_000),
                "opened_at": st.sampled_from([NOON.isoformat(), None, "soon"]),
                "effective_entry_price_usd_pips": st.just("5123"),
            },
        ),
    },
)

Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def connection(store: Store) -> Iterator[psycopg.Connection]:
    with closing(store.connect()) as connection:
        yield connection


@pytest.fixture(scope="module")
def appender(store: Store) -> Iterator[Appender]:
    with closing(store.connect()) as connection:
        yield Appender(connection)


@given(data=st.data())
@tries(40)
def test_the_changes_of_size_follow_from_the_facts(
    data: st.DataObject, connection: psycopg.Connection, appender: Appender
) -> None:
    history = data.draw(histories(bodies=sections))
    for batch in data.draw(deliveries(history)):
        batch.append(appender)
    for position_id in ids_of(history):
        found = connection.execute(
            "SELECT place, kind, changed_at, changed_from, before_token_units, after_token_units,"
            " changed_token_units, before_notional_usd_pips, after_notional_usd_pips,"
            " before_leverage_bps, after_leverage_bps, event_id"
            " FROM position_size_changes WHERE position_id = %s ORDER BY place",
            [position_id],
        ).fetchall()
        facts = [each for each in history if each.fact.position_id == position_id]
        wanted = naive_changes(facts)
        assert found == wanted


@dataclass(frozen=True)
class Size:
    """How large a position is, as far as it is told."""

    units: int | None = None
    notional: int | None = None
    leverage: int | None = None

    def or_else(self, other: "Size") -> "Size":
        """Return it with what is not told taken from another."""
        return Size(
            self.units,
            other.notional if self.notional is None else self.notional,
            other.leverage if self.leverage is None else self.leverage,
        )


UNKNOWN = Size()


class Told:
    """What one fact says of the size."""

    def __init__(self, arrival: Arrival) -> None:
        self.fact = arrival.fact
        body: Mapping[str, Any] = json.loads(arrival.what.envelope)["data"]
        entry, current = body.get("entry") or {}, body.get("current") or {}
        self.phase = RULES.statuses.get(self.fact.status or "", ("live", 0))[0]
        self.at_entry = size(entry, "leverage_bps")
        self.now = size(current, "book_leverage_bps")
        if self.phase != "live" or self.now.units is None:
            self.now = UNKNOWN
        self.opened_at = instant(entry.get("opened_at"))
        self.moment = (
            self.fact.created_at,
            "snapshot" if isinstance(arrival.what, Snapshot) else "event",
        )

    @property
    def has_it_open(self) -> bool:
        """Whether the position has opened by this fact."""
        if self.phase == "pending" or self.fact.status == "cancelled":
            return False
        is_held = (self.now.units or 0) > 0
        return self.fact.type == "position.opened" or self.opened_at is not None or is_held

    @property
    def is_the_fill(self) -> bool:
        """Whether its own size is that of the opening, if it is the first that has it open."""
        if self.now.units is None:
            return False
        if self.fact.type == "position.opened":
            return True
        return self.fact.type not in REDUCTIONS and self.at_entry.units is None


def naive_changes(history: Sequence[Arrival]) -> list[Row]:
    """Return the rows of one position, told from its facts one by one."""
    rows: list[Row] = []
    last: Size | None = None
    has_opened = False
    for told in map(Told, in_their_order(history)):
        before = UNKNOWN
        if told.now.units is not None:
            before = told.at_entry if last is None else last
            last = told.now
        if not has_opened and told.has_it_open:
            has_opened = True
            filled = told.now.or_else(told.at_entry) if told.is_the_fill else told.at_entry
            moment = (told.opened_at, "body") if told.opened_at else told.moment
            rows.append(("fill", *moment, *change(Size(0, 0), filled), told.fact.event_id))
            if told.is_the_fill:
                continue
        if kind := kind_of(told, before):
            rows.append((kind, *told.moment, *change(before, told.now), told.fact.event_id))
    return [(place, *row) for place, row in enumerate(rows, start=1)]


def kind_of(told: Told, before: Size) -> str | None:
    if told.fact.type in REDUCTIONS:
        return REDUCTIONS[told.fact.type]
    if told.now.units is None or before.units is None or told.now.units == before.units:
        return None
    return "fill" if told.now.units > before.units else "reduction"


def in_their_order(history: Sequence[Arrival]) -> list[Arrival]:
    """Return the facts that count: first those that the latest snapshot overrules."""
    every = [each.fact for each in history]
    counting = [
        each
        for each in history
        if each.fact.status is not None and not is_retracted(each.fact, every)
    ]
    snapshots = [each.fact for each in counting if each.fact.supersedes_before is not None]
    latest = max(snapshots, key=lambda fact: (fact.created_at, RULES.place(fact)), default=None)

    def overruled(fact: Fact) -> bool:
        if latest is None or latest.supersedes_before is None:
            return False
        if fact.supersedes_before is not None:
            return fact.event_id != latest.event_id
        return fact.created_at <= latest.supersedes_before

    return sorted(counting, key=lambda each: (not overruled(each.fact), RULES.place(each.fact)))


def size(section: Mapping[str, Any], leverage: str) -> Size:
    return Size(
        whole(section.get("position_token_units"), 38),
        whole(section.get("notional_usd_pips"), 19),
        section.get(leverage),
    )


def instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def whole(value: object, digits: int) -> int | None:
    text = str(value)
    return int(text) if text.isdigit() and len(text) <= digits else None


def change(before: Size, after: Size) -> Row:
    changed = None
    if before.units is not None and after.units is not None:
        changed = after.units - before.units
    return (
        before.units,
        after.units,
        changed,
        before.notional,
        after.notional,
        before.leverage,
        after.leverage,
    )
