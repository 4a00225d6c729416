"""Every documented query finds in the log what it looks for by an index, and each index is needed.

The store is less than a hundredth of the size that docs/sql-performance.md speaks of, and made like
it: thirty days, ten facts a position, with statistics that the planner has gathered itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
import pytest
from benchmark import big_store, querying
from benchmark.querying import Asked
from docs_queries import all_documented
from support.postgres import Server, fresh_database

from positionstore.store import database

pytestmark = pytest.mark.slow

FACTS = 60_000
MOMENTS = ["2026-06-07 12:00Z", "2026-06-20 17:00Z", "2026-07-05 12:00Z"]
FETCHED = "SELECT pg_stat_get_xact_tuples_fetched('events'::regclass)"


@dataclass(frozen=True)
class BigStore:
    connection: psycopg.Connection
    names: Mapping[str, str]
    asked: Mapping[str, Asked]


@pytest.fixture(scope="module")
def big(postgres: Server, any_store_template: str) -> Iterator[BigStore]:
    with (
        fresh_database(postgres, any_store_template) as url,
        database.connect(url) as connection,
    ):
        connection.autocommit = True
        names = big_store.fill(connection, FACTS)
        asked = querying.ask(connection, all_documented(), names)
        yield BigStore(connection, names, {each.name: each for each in asked})


def test_no_documented_query_reads_a_whole_log_that_is_not_meant_to(big: BigStore) -> None:
    astray = {name: each.log_scans for name, each in big.asked.items() if not each.as_meant}
    assert astray == {}


def test_a_query_that_reads_the_whole_log_says_so(big: BigStore) -> None:
    said = {query.name for query in all_documented() if query.reads_whole_log}
    assert {name for name, each in big.asked.items() if each.log_scans} == said


def test_a_query_without_its_index_is_noticed(big: BigStore) -> None:
    (query,) = [query for query in all_documented() if query.name == "events_after"]
    with big.connection.transaction(force_rollback=True):
        big.connection.execute("DROP INDEX events_seq")
        (asked,) = querying.ask(big.connection, [query], big.names)
    assert not asked.as_meant


def test_each_index_serves_a_documented_query(big: BigStore) -> None:
    used = {name for each in big.asked.values() for name in each.indexes}
    assert {index.name for index in big_store.indexes(big.connection)} - used == set()


def test_what_is_asked_of_one_position_costs_the_same_in_a_big_log(big: BigStore) -> None:
    for name in ("position_timeline", "one_life", "positions_as_of"):
        assert "events_pkey" in big.asked[name].indexes


def fetched(big: BigStore, question: str) -> int:
    """Return how many facts a query fetches from the log."""
    with big.connection.transaction(force_rollback=True):
        (before,) = big.connection.execute(FETCHED).fetchone() or (0,)
        big.connection.execute(question.encode())
        (after,) = big.connection.execute(FETCHED).fetchone() or (0,)
    return int(after - before)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("known", ["infinity", "2026-06-20 17:00Z"])
@pytest.mark.parametrize("function", ["facts_as_of", "positions_as_of", "positions_valid_at"])
def test_the_book_of_a_moment_reads_the_facts_of_what_was_open_alone(
    big: BigStore, function: str, moment: str, known: str
) -> None:
    """About one position in twenty is alive at a time, and a fact of each is looked up again."""
    question = f"SELECT count(*), max(status) FROM {function}('{moment}', '{known}')"
    assert 0 < fetched(big, question) < FACTS / 4


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("SELECT * FROM {} WHERE ended_at >= '2026-07-03' AND ended_at < '2026-07-04'", 12),
        ("SELECT * FROM {} ORDER BY opened_at DESC NULLS LAST LIMIT 10", 20),
        ("SELECT * FROM {} ORDER BY opened_at DESC LIMIT 10", 20),
        ("SELECT * FROM {} ORDER BY ended_at DESC NULLS LAST LIMIT 10", 20),
        ("SELECT ended_at - opened_at, opened_at_source FROM {}", 20),
    ],
)
def test_the_lifecycle_reads_the_facts_of_what_is_asked_for_alone(
    big: BigStore, question: str, part: int
) -> None:
    """And of those, one in twenty, whose bodies tell no moment."""
    assert fetched(big, question.format("position_lifecycle")) < FACTS / part
