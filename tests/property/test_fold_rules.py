"""An operator's rules: a row more in a reference table holds for the whole past after a rebuild."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import (
    UNKNOWN_STATUSES,
    UNKNOWN_TYPES,
    deliveries,
    histories,
    ids_of,
    rows_of,
    strays,
)
from support.oracle import Rules
from support.profiles import tries

from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.projection import rebuild, verify


@st.composite
def new_rules(draw: st.DrawFn) -> Rules:
    """Return the documented rules and some of an operator's, with ranks anywhere among them."""
    phases, ranks = st.sampled_from(["pending", "live", "terminal"]), st.integers(-5, 200)
    statuses = draw(
        st.dictionaries(st.sampled_from(UNKNOWN_STATUSES), st.tuples(phases, ranks), max_size=3)
    )
    types = draw(st.dictionaries(st.sampled_from(UNKNOWN_TYPES), ranks, max_size=3))
    documented = Rules()
    return Rules({**documented.statuses, **statuses}, {**documented.types, **types})


@contextmanager
def in_force(connection: psycopg.Connection, rules: Rules) -> Iterator[None]:
    """Add to the reference tables what rules say beyond them; take it away again."""
    connection.cursor().executemany(
        "INSERT INTO position_statuses (status, phase, precedence, description)"
        " VALUES (%s, %s, %s, 'of ours') ON CONFLICT DO NOTHING",
        [(status, *rule) for status, rule in rules.statuses.items()],
    )
    connection.cursor().executemany(
        "INSERT INTO event_types (type, precedence, description)"
        " VALUES (%s, %s, 'of ours') ON CONFLICT DO NOTHING",
        list(rules.types.items()),
    )
    try:
        yield
    finally:
        connection.execute("DELETE FROM position_statuses WHERE description = 'of ours'")
        connection.execute("DELETE FROM event_types WHERE description = 'of ours'")


@pytest.fixture(scope="module")
def desk(store: Store) -> Iterator[tuple[Appender, psycopg.Connection]]:
    with closing(store.connect()) as connection, closing(store.connect()) as reader:
        yield Appender(connection), reader


@tries(10)
@given(st.data(), new_rules())
def test_a_new_rule_holds_for_the_past_after_a_rebuild_and_for_what_comes(
    desk: tuple[Appender, psycopg.Connection], data: st.DataObject, rules: Rules
) -> None:
    appender, reader = desk
    history = data.draw(histories())
    batches = data.draw(deliveries(history))
    past, future = batches[: len(batches) // 2], batches[len(batches) // 2 :]
    ids = ids_of(history)
    for batch in past:
        batch.append(appender)
    facts = [arrival.fact for batch in past for arrival in batch.arrivals]
    before, after = Rules().fold(facts), rules.fold(facts)
    assert rows_of(reader, ids) == before
    with in_force(reader, rules):
        changed = sorted(name for name in after if after[name] != before[name])
        for find in (verify, rebuild):
            assert [each.position_id for each in find(reader) if each.position_id in ids] == changed
        assert rows_of(reader, ids) == after
        for batch in future:
            batch.append(appender)
        wanted = rules.fold(arrival.fact for arrival in history)
        assert rows_of(reader, ids) == wanted
        assert strays(reader, history, wanted) == []
