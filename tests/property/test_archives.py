"""Facts leave the log for an archive and come back, and the book never changes."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import MOMENTS, NOON, Arrival, deliveries, histories, ids_of, rows_of
from support.oracle import Rules, State
from support.postgres import Server, fresh_database
from support.profiles import tries

from positionstore.errors import StoreRefusedError
from positionstore.export.archive import archive
from positionstore.importer.archives import bring_back
from positionstore.store import archived, projection
from positionstore.store.appender import Appender
from positionstore.store.database import Store

RULES = Rules()
LATER = NOON + timedelta(days=400)
CUTS = [NOON + timedelta(seconds=1), NOON + timedelta(hours=1), NOON + timedelta(days=1)]
FACTS = """
    SELECT seq, event_id, position_id, type, status, created_at, received_at, source,
        supersedes_before, envelope::text, retracts
    FROM events WHERE position_id = ANY (%s) ORDER BY seq
"""
ROWS = "SELECT to_jsonb(p) FROM positions p WHERE position_id = ANY (%s) ORDER BY position_id"


Stores = Callable[[], AbstractContextManager[tuple[Store, psycopg.Connection, Appender]]]


@pytest.fixture(scope="module")
def stores(postgres: Server, any_store_template: str) -> Stores:
    """Makes a store of its own for each example, since an archive takes whatever is old."""

    @contextmanager
    def fresh() -> Iterator[tuple[Store, psycopg.Connection, Appender]]:
        with fresh_database(postgres, any_store_template) as url:
            store = Store(url, embedded=False)
            with closing(store.connect()) as connection, closing(store.connect()) as appending:
                yield store, connection, Appender(appending)

    return fresh


def fold(history: Sequence[Arrival]) -> dict[str, State]:
    return RULES.fold(arrival.fact for arrival in history)


def away(connection: psycopg.Connection, ids: Sequence[str]) -> set[str]:
    found = connection.execute(
        "SELECT position_id FROM archived_positions WHERE position_id = ANY (%s)", [ids]
    )
    return {name for (name,) in found}


@tries(10)
@given(st.data())
def test_the_book_stays_while_facts_leave_and_when_they_come_back(
    stores: Stores, data: st.DataObject
) -> None:
    with stores() as (store, connection, appender):
        history = data.draw(histories(positions=6))
        for batch in data.draw(deliveries(history)):
            batch.append(appender)
        ids = ids_of(history)
        facts = connection.execute(FACTS, [ids]).fetchall()
        rows = connection.execute(ROWS, [ids]).fetchall()
        with tempfile.TemporaryDirectory() as folder:
            done = archive(
                store,
                Path(folder),
                before=data.draw(st.sampled_from(CUTS)),
                now=LATER,
                positions_of_a_file=2,
                facts_of_a_file=data.draw(st.sampled_from([1, 1000])),
            )
            assert connection.execute(ROWS, [ids]).fetchall() == rows
            assert projection.verify(connection) == []
            left = connection.execute(FACTS, [ids]).fetchall()
            assert set(left) <= set(facts)
            assert len(left) == len(facts) - (done.left or 0)
            assert bool(done.left) == bool(away(connection, ids))
            for path in sorted(Path(folder).iterdir(), reverse=True):
                bring_back(store, [str(path)], now=LATER)
        assert connection.execute(FACTS, [ids]).fetchall() == facts
        assert connection.execute(ROWS, [ids]).fetchall() == rows
        assert projection.verify(connection) == []
        assert not away(connection, ids)


@tries(10)
@given(st.data())
def test_what_comes_late_is_folded_as_if_nothing_were_away_or_the_archive_is_asked_for(
    stores: Stores, data: st.DataObject
) -> None:
    with stores() as (store, connection, appender):
        history = data.draw(histories(positions=6))
        cut = data.draw(st.integers(0, len(history)))
        early, late = history[:cut], history[cut:]
        for batch in data.draw(deliveries(early)):
            batch.append(appender)
        ids = ids_of(history)
        told = list(early)
        with tempfile.TemporaryDirectory() as folder:
            archive(store, Path(folder), before=CUTS[-1], now=LATER)
            for batch in data.draw(deliveries(late)):
                try:
                    batch.append(appender)
                except StoreRefusedError:
                    continue
                told += batch.arrivals
            needing = {name for name, _ in archived.needing(connection)}
            assert needing <= away(connection, ids)
            expected = fold(told)
            found = rows_of(connection, ids)
            assert {k: v for k, v in found.items() if k not in needing} == {
                k: v for k, v in expected.items() if k not in needing
            }
            differing = {each.position_id for each in projection.verify(connection)}
            assert differing == set()
            for path in Path(folder).iterdir():
                bring_back(store, [str(path)], now=LATER)
        assert rows_of(connection, ids) == expected
        assert projection.verify(connection) == []
        assert archived.needing(connection) == []


@tries(10)
@given(st.data())
def test_a_moment_of_the_past_is_as_it_was_or_is_refused(
    stores: Stores, data: st.DataObject
) -> None:
    with stores() as (store, connection, appender):
        history = data.draw(histories(positions=6))
        for batch in data.draw(deliveries(history)):
            batch.append(appender)
        with tempfile.TemporaryDirectory() as folder:
            archive(store, Path(folder), before=CUTS[-1], now=LATER)
            refused = 0
            for position_id in ids_of(history):
                for _ in range(4):
                    valid_at = data.draw(st.sampled_from(MOMENTS))
                    known_at = NOON + timedelta(hours=data.draw(st.integers(-1, 4)))
                    expected = RULES.fold(
                        each.fact
                        for each in history
                        if each.received_at <= known_at
                        and (each.fact.retracts is not None or each.fact.created_at <= valid_at)
                    )
                    try:
                        found = connection.execute(
                            "SELECT status, phase, last_event_id, last_event_type, last_event_at,"
                            " supersedes_before FROM positions_as_of(%s, %s, of_position => %s)",
                            [valid_at, known_at, position_id],
                        ).fetchone()
                    except psycopg.errors.ObjectNotInPrerequisiteState:
                        refused += 1
                        assert position_id in away(connection, ids_of(history))
                        continue
                    assert (State(*found) if found else None) == expected.get(position_id)
            for path in Path(folder).iterdir():
                bring_back(store, [str(path)], now=LATER)
