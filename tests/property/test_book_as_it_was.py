"""The book at any moment, as known at any moment, is the oracle's fold of what was there then."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import (
    FAR_AWAY,
    Arrival,
    deliveries,
    histories,
    ids_of,
    moments,
    receptions,
)
from support.oracle import Rules, State, is_retracted
from support.profiles import tries

from positionstore.model.fields import FOLDED_COLUMNS
from positionstore.store.appender import Appender
from positionstore.store.database import Store

RULES = Rules()
STATE = "status, phase, last_event_id, last_event_type, last_event_at, supersedes_before"


@pytest.fixture(scope="module")
def reader(store: Store) -> Iterator[psycopg.Connection]:
    with closing(store.connect()) as connection:
        yield connection


@pytest.fixture(scope="module")
def appender(store: Store) -> Iterator[Appender]:
    with closing(store.connect()) as connection:
        yield Appender(connection)


def drawn_history(data: st.DataObject, appender: Appender) -> list[Arrival]:
    history = data.draw(histories(positions=3))
    for batch in data.draw(deliveries(history)):
        batch.append(appender)
    return history


def then(history: Sequence[Arrival], valid_at: datetime, known_at: datetime) -> dict[str, State]:
    return RULES.fold(
        arrival.fact
        for arrival in history
        if arrival.received_at <= known_at
        # A retraction is of the axis of what is known alone.
        and (arrival.fact.retracts is not None or arrival.fact.created_at <= valid_at)
    )


@tries(12)
@given(st.data())
def test_the_book_as_of_a_moment_is_the_fold_of_what_was_then_created_and_known(
    reader: psycopg.Connection, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender)
    ids = ids_of(history)
    for _ in range(3):
        valid_at, known_at = data.draw(moments), data.draw(receptions)
        wanted = then(history, valid_at, known_at)
        whole = reader.execute(
            f"SELECT position_id, {STATE} FROM positions_as_of(%s, %s)"
            " WHERE position_id = ANY (%s)",
            [valid_at, known_at, ids],
        ).fetchall()
        assert {row[0]: State(*row[1:]) for row in whole} == wanted
        assert len(whole) == len(wanted)
        facts = reader.execute(
            "SELECT position_id, status, phase, event_id, type, created_at, supersedes_before"
            " FROM facts_as_of(%s, %s) WHERE position_id = ANY (%s)",
            [valid_at, known_at, ids],
        ).fetchall()
        assert {row[0]: State(*row[1:]) for row in facts} == wanted
        assert len(facts) == len(wanted)
        for position_id in ids:
            single = reader.execute(
                f"SELECT {STATE} FROM positions_as_of(%s, %s, of_position => %s)",
                [valid_at, known_at, position_id],
            ).fetchall()
            assert [State(*row) for row in single] == [
                state for key, state in wanted.items() if key == position_id
            ]


@tries(12)
@given(st.data())
def test_the_book_at_a_valid_time_is_what_the_moments_known_then_say(
    reader: psycopg.Connection, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender)
    ids = ids_of(history)
    columns = "position_id, status, opened_at, ended_at, status_by_facts"
    for known_at in (data.draw(receptions), FAR_AWAY, "infinity"):
        valid_at = data.draw(moments)
        facts = [
            arrival.fact
            for arrival in history
            if isinstance(known_at, str) or arrival.received_at <= known_at
        ]
        wanted = RULES.valid_at(facts, valid_at)
        whole = reader.execute(
            f"SELECT {columns} FROM positions_valid_at(%s, %s) WHERE position_id = ANY (%s)",
            [valid_at, known_at, ids],
        ).fetchall()
        assert {row[0]: row[1:4] for row in whole} == wanted
        for row in whole:
            single = reader.execute(
                f"SELECT {columns} FROM positions_valid_at(%s, %s, of_position => %s)",
                [valid_at, known_at, row[0]],
            ).fetchall()
            assert single == [row]


@tries(6)
@given(st.data())
def test_at_infinity_it_is_what_positions_shows(
    reader: psycopg.Connection, appender: Appender, data: st.DataObject
) -> None:
    drawn_history(data, appender)
    columns = ", ".join(FOLDED_COLUMNS)
    differing = reader.execute(
        f"(SELECT {columns} FROM positions"
        f" EXCEPT SELECT {columns} FROM positions_as_of('infinity'))"
        " UNION ALL "
        f"(SELECT {columns} FROM positions_as_of('infinity')"
        f" EXCEPT SELECT {columns} FROM positions)"
    ).fetchall()
    assert differing == []
    statuses = reader.execute("SELECT position_id, status, phase FROM positions").fetchall()
    valid = reader.execute(
        "SELECT position_id, status, phase FROM positions_valid_at('infinity')"
    ).fetchall()
    assert sorted(valid) == sorted(statuses)


@tries(12)
@given(st.data())
def test_the_timeline_is_in_the_order_of_facts_and_ends_with_what_positions_shows(
    reader: psycopg.Connection, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender)
    states = RULES.fold(arrival.fact for arrival in history)
    for position_id in ids_of(history):
        facts = {
            arrival.fact.event_id: arrival.fact
            for arrival in history
            if arrival.fact.position_id == position_id and arrival.fact.status is not None
        }
        rows = reader.execute(
            "SELECT event_id, place, seq, overruled, out_of_order, won, retracted_by"
            " FROM position_timeline WHERE position_id = %s ORDER BY place",
            [position_id],
        ).fetchall()
        assert {row[0] for row in rows} == set(facts)
        assert [row[1] for row in rows] == list(range(1, len(rows) + 1))
        state = states.get(position_id)
        assert [row[0] for row in rows if row[5]] == ([state.event_id] if state else [])
        assert [row[5] for row in rows[:-1]] == [False] * len(rows[:-1])
        its = [arrival.fact for arrival in history if arrival.fact.position_id == position_id]
        for name, *_, retracted_by in rows:
            standing = [
                fact.event_id
                for fact in its
                if fact.retracts == name and not is_retracted(fact, its)
            ]
            assert retracted_by == min(standing, default=None)
        gone = [row[6] is not None for row in rows]
        assert gone == sorted(gone, reverse=True)
        assert not any(row[3] for row in rows if row[6] is not None)
        counting = [facts[row[0]] for row in rows if not row[3] and row[6] is None]
        assert counting == sorted(counting, key=RULES.place)
        if state is not None:
            # What is overruled is just what may go without a trace.
            assert RULES.fold(counting)[position_id] == state
            assert sum(fact.supersedes_before is not None for fact in counting) == (
                state.supersedes_before is not None
            )
            assert all(
                fact.created_at > state.supersedes_before
                for fact in counting
                if state.supersedes_before and fact.supersedes_before is None
            )
        for place, row in enumerate(rows):
            assert row[4] == any(later[2] < row[2] for later in rows[place + 1 :])


@tries(12)
@given(st.data())
def test_what_came_late_explains_every_difference_of_two_knowings(
    reader: psycopg.Connection, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender)
    earlier, later = sorted([data.draw(receptions), data.draw(receptions)])
    found = reader.execute(
        "SELECT position_id, event_before, event_after FROM book_changes(%s, %s)"
        " WHERE valid_at = %s AND position_id = ANY (%s)",
        [earlier, later, earlier, ids_of(history)],
    ).fetchall()
    before, after = then(history, earlier, earlier), then(history, earlier, later)
    wanted = []
    for position_id in before.keys() | after.keys():
        was = before[position_id].event_id if position_id in before else None
        became = after[position_id].event_id if position_id in after else None
        if was != became:
            wanted.append((position_id, was, became))
    assert sorted(found, key=str) == sorted(wanted, key=str)


@tries(8)
@given(st.data())
def test_the_view_of_retractions_says_which_of_them_stand(
    reader: psycopg.Connection, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender)
    facts = [arrival.fact for arrival in history]
    found = reader.execute(
        "SELECT position_id, event_id, retracts, reason, created_at, stands FROM retractions"
        " WHERE position_id = ANY (%s)",
        [ids_of(history)],
    ).fetchall()
    assert sorted(found) == sorted(
        (
            fact.position_id,
            fact.event_id,
            fact.retracts,
            "A reason.",
            fact.created_at,
            not is_retracted(fact, facts),
        )
        for fact in facts
        if fact.retracts is not None
    )
