"""Whatever the order of arrival: the changes of size are those of the facts in their order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
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


def naive_changes(history: Sequence[Arrival]) -> list[Row]:
    """Return the rows of one position, told from its facts one by one."""
    rows: list[Row] = []
    last: dict[str, Any] | None = None
    has_opened = False
    for arrival in in_their_order(history):
        fact, body = arrival.fact, body_of(arrival)
        phase = RULES.statuses.get(fact.status or "", ("live", 0))[0]
        entry, current = section(body, "entry"), section(body, "current")
        at_entry = {
            "units": whole(entry.get("position_token_units"), 38),
            "notional": whole(entry.get("notional_usd_pips"), 19),
            "leverage": entry.get("leverage_bps"),
        }
        now = {
            "units": whole(current.get("position_token_units"), 38),
            "notional": whole(current.get("notional_usd_pips"), 19),
            "leverage": current.get("book_leverage_bps"),
        }
        told = phase == "live" and now["units"] is not None
        opened_at = instant(entry.get("opened_at"))
        kind = "snapshot" if isinstance(arrival.what, Snapshot) else "event"
        opens = fact.type == "position.opened" or opened_at or (told and now["units"] > 0)
        is_the_fill = False
        if not has_opened and phase != "pending" and fact.status != "cancelled" and opens:
            has_opened = True
            if fact.type == "position.opened":
                is_the_fill = told
            else:
                is_the_fill = told and fact.type not in REDUCTIONS and at_entry["units"] is None
            filled = dict(at_entry)
            if is_the_fill:
                filled = {
                    "units": now["units"],
                    "notional": at_entry["notional"]
                    if now["notional"] is None
                    else now["notional"],
                    "leverage": at_entry["leverage"]
                    if now["leverage"] is None
                    else now["leverage"],
                }
            when: tuple[datetime, str] = (fact.created_at, kind)
            if opened_at:
                when = (opened_at, "body")
            rows.append(row(rows, "fill", when, zero(), filled, fact))
        before = unknown()
        if told:
            before = at_entry if last is None else last
        if not is_the_fill:
            after = now if told else unknown()
            when = (fact.created_at, kind)
            if fact.type in REDUCTIONS:
                rows.append(row(rows, REDUCTIONS[fact.type], when, before, after, fact))
            elif told and before["units"] is not None and before["units"] != now["units"]:
                name = "fill" if now["units"] > before["units"] else "reduction"
                rows.append(row(rows, name, when, before, after, fact))
        if told:
            last = now
    return rows


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


def body_of(arrival: Arrival) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(arrival.what.envelope)["data"]
    return data


def section(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = body.get(name) or {}
    return found


def instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def whole(value: object, digits: int) -> int | None:
    text = str(value)
    return int(text) if text.isdigit() and len(text) <= digits else None


def zero() -> dict[str, Any]:
    return {"units": 0, "notional": 0, "leverage": None}


def unknown() -> dict[str, Any]:
    return {"units": None, "notional": None, "leverage": None}


def row(
    rows: Sequence[Row],
    kind: str,
    when: tuple[datetime, str],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    fact: Fact,
) -> Row:
    units = [None if each is None else Decimal(each) for each in (before["units"], after["units"])]
    changed = None if units[0] is None or units[1] is None else units[1] - units[0]
    return (
        len(rows) + 1,
        kind,
        *when,
        *units,
        changed,
        before["notional"],
        after["notional"],
        before["leverage"],
        after["leverage"],
        fact.event_id,
    )
