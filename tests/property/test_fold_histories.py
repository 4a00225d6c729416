"""Whatever the order, the repetition and the batching: positions are the fold of the facts."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from random import Random

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import (
    Arrival,
    Batch,
    book,
    deliveries,
    histories,
    ids_of,
    in_batches,
    moments,
    receptions,
    rows_of,
    strays,
)
from support.oracle import Rules, State
from support.profiles import tries
from support.waiting import DEADLINE

from positionstore.store.appender import Appended, Appender
from positionstore.store.database import Store
from positionstore.store.fold import Difference
from positionstore.store.projection import rebuild, verify

RULES = Rules()


@dataclass
class Bench:
    """A store with two appenders, which work at the same time, and a reader."""

    reader: psycopg.Connection
    appenders: tuple[Appender, Appender]
    threads: ThreadPoolExecutor

    def append(self, batches: Sequence[Batch]) -> list[Appended]:
        """Append with one appender."""
        return [batch.append(self.appenders[0]) for batch in batches]

    def append_side_by_side(self, lanes: Sequence[Sequence[Batch]]) -> list[Appended]:
        """Append with two appenders that start at once, each its own batches."""
        start = threading.Barrier(len(lanes))

        def work(appender: Appender, batches: Sequence[Batch]) -> list[Appended]:
            start.wait(DEADLINE)
            return [batch.append(appender) for batch in batches]

        pairs = zip(self.appenders, lanes, strict=True)
        lanes_at_work = [self.threads.submit(work, *pair) for pair in pairs]
        return [done for lane in lanes_at_work for done in lane.result(60)]

    def differences(
        self, find: Callable[[psycopg.Connection], list[Difference]], ids: Sequence[str]
    ) -> list[Difference]:
        """Return what verify or rebuild finds, of one example's positions."""
        return [found for found in find(self.reader) if found.position_id in ids]


@pytest.fixture(scope="module")
def bench(store: Store) -> Iterator[Bench]:
    with (
        closing(store.connect()) as reader,
        closing(store.connect()) as one,
        closing(store.connect()) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        yield Bench(reader, (Appender(one), Appender(other)), threads)


def oracle(history: Sequence[Arrival]) -> dict[str, State]:
    return RULES.fold(arrival.fact for arrival in history)


@tries(25)
@given(st.data())
def test_positions_are_the_fold_of_the_facts_however_they_arrive(
    bench: Bench, data: st.DataObject
) -> None:
    history = data.draw(histories())
    batches = data.draw(deliveries(history))
    done = bench.append(batches)
    ids, wanted = ids_of(history), oracle(history)
    assert rows_of(bench.reader, ids) == wanted
    assert strays(bench.reader, history, wanted) == []
    facts = {arrival.fact for arrival in history}
    assert sum(each.appended for each in done) == len(facts)
    assert sum(each.received for each in done) == sum(len(batch.arrivals) for batch in batches)
    assert sum(each.appended + each.duplicates for each in done) == sum(
        each.received for each in done
    )
    assert sum(each.quarantined for each in done) == 0


@tries(12)
@given(st.data())
def test_two_appenders_at_once_end_in_the_same_rows(bench: Bench, data: st.DataObject) -> None:
    history = data.draw(histories(positions=3))
    lanes = [data.draw(deliveries(history)) for _ in range(2)]
    done = bench.append_side_by_side(lanes)
    assert rows_of(bench.reader, ids_of(history)) == oracle(history)
    assert sum(each.appended for each in done) == len({arrival.fact for arrival in history})


@tries(6)
@given(st.data())
def test_incremental_rebuild_and_verify_agree(bench: Bench, data: st.DataObject) -> None:
    history = data.draw(histories(positions=8))
    bench.append(data.draw(deliveries(history)))
    ids, wanted = ids_of(history), oracle(history)
    assert bench.differences(verify, ids) == []
    assert bench.differences(rebuild, ids) == []
    assert rows_of(bench.reader, ids) == wanted


def _some(of: Iterable[str]) -> st.SearchStrategy[set[str]]:
    names = sorted(of)
    return st.sets(st.sampled_from(names)) if names else st.builds(set)


@tries(8)
@given(st.data())
def test_whatever_is_wrong_verify_names_and_rebuild_puts_right(
    bench: Bench, data: st.DataObject
) -> None:
    history = data.draw(histories(positions=8))
    bench.append(data.draw(deliveries(history)))
    ids, wanted = ids_of(history), oracle(history)
    gone, wrong = data.draw(_some(wanted)), data.draw(_some(wanted))
    invented = f"{ids[0]}_invented" if data.draw(st.booleans()) and ids else None
    sabotage = bench.reader.execute
    sabotage(
        "UPDATE positions SET status = status || '?', data = data - 'mark'"
        " WHERE position_id = ANY (%s)",
        [list(wrong)],
    )
    if invented is not None:
        sabotage(
            "INSERT INTO positions (position_id, status, phase, data, last_event_id,"
            " last_event_type, last_event_at, source, updated_at)"
            " VALUES (%s, 'open', 'live', '{}', 'evt', 't', now(), 'partner', now())",
            [invented],
        )
    sabotage("DELETE FROM positions WHERE position_id = ANY (%s)", [list(gone)])
    expected = sorted(
        [
            *((position_id, "missing", ()) for position_id in gone),
            *((position_id, "different", ("data", "status")) for position_id in wrong - gone),
            *([(invented, "unfounded", ())] if invented is not None else []),
        ]
    )
    everyone = [*ids, invented or ""]
    for find in (verify, rebuild):
        found = bench.differences(find, everyone)
        assert [(each.position_id, each.kind, tuple(each.columns)) for each in found] == expected
    assert rows_of(bench.reader, everyone) == wanted
    assert strays(bench.reader, history, wanted) == []
    assert bench.differences(verify, everyone) == []


@tries(10)
@given(st.data())
def test_appending_everything_again_changes_nothing(bench: Bench, data: st.DataObject) -> None:
    history = data.draw(histories())
    bench.append(data.draw(deliveries(history)))
    whole_rows = (
        "SELECT p.*, p.xmin::text, (SELECT max(seq) FROM events) FROM positions p"
        " WHERE position_id = ANY (%s) ORDER BY position_id"
    )
    before = bench.reader.execute(whole_rows, [ids_of(history)]).fetchall()
    again = bench.append(data.draw(deliveries(history)))
    assert bench.reader.execute(whole_rows, [ids_of(history)]).fetchall() == before
    for done in again:
        assert (done.appended, done.positions, done.last_seq) == (0, 0, None)
        assert done.duplicates == done.received


@tries(12)
@given(st.data())
def test_the_fold_as_of_a_moment_is_the_fold_of_what_was_then_created_and_known(
    bench: Bench, data: st.DataObject
) -> None:
    history = data.draw(histories())
    bench.append(data.draw(deliveries(history)))
    ids = ids_of(history)
    for _ in range(3):
        valid_at, known_at = data.draw(moments), data.draw(receptions)
        found = bench.reader.execute(
            "SELECT f.position_id, e.status, e.event_id, f.supersedes_before"
            " FROM fold_facts(%s, %s, %s) f JOIN events e ON e.seq = f.seq",
            [ids, valid_at, known_at],
        ).fetchall()
        then = oracle(
            [
                arrival
                for arrival in history
                if arrival.received_at <= known_at
                # A retraction is of the axis of what is known alone.
                and (arrival.fact.retracts is not None or arrival.fact.created_at <= valid_at)
            ]
        )
        assert sorted(found) == sorted(
            (position_id, state.status, state.event_id, state.supersedes_before)
            for position_id, state in then.items()
        )


@tries(2)
@given(st.integers(0, 2**32), st.sampled_from([1, 40, 1000]))
def test_a_book_of_many_positions_is_the_fold_of_its_facts(
    bench: Bench, seed: int, size: int
) -> None:
    random = Random(seed)
    history = book(random, 300 if size > 1 else 30)
    lanes = [in_batches(random.sample(history, len(history)), size) for _ in range(2)]
    done = bench.append_side_by_side(lanes)
    ids, wanted = ids_of(history), oracle(history)
    assert sum(each.appended for each in done) == len(history)
    for find in (verify, rebuild):
        assert rows_of(bench.reader, ids) == wanted
        assert bench.differences(find, ids) == []
    assert strays(bench.reader, history, wanted) == []
