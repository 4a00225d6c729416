"""How a server is set up changes nothing in the order of facts."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random

import psycopg
import pytest
from psycopg import sql
from support.histories import (
    EVENT_IDS,
    NOON,
    book,
    event,
    ids_of,
    in_batches,
    new_position_ids,
    rows_of,
)
from support.oracle import Rules
from support.postgres import Server
from support.waiting import DEADLINE

from positionstore.store import migrations
from positionstore.store.appender import Appender
from positionstore.store.database import connect
from positionstore.store.projection import verify


@pytest.fixture
def english_url(postgres: Server) -> Iterator[str]:
    """A store in a database that sorts text as English does."""
    name = f"test_english_{uuid.uuid4().hex[:16]}"
    with closing(psycopg.connect(postgres.url("postgres"), autocommit=True)) as connection:
        try:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0"
                " LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'"
            )
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this server was built without ICU, and sorts by bytes alone")
        try:
            migrations.migrate(postgres.url(name))
            yield postgres.url(name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_event_ids_are_compared_by_their_bytes_whatever_the_locale(english_url: str) -> None:
    with closing(connect(english_url)) as writer, closing(connect(english_url)) as reader:
        # What this is about: here text is sorted otherwise.
        assert reader.execute("SELECT 'evt_a' < 'evt_B'").fetchone() == (True,)
        random = Random(1)
        history = [
            event(
                position_id,
                event_id,
                type_="position.opened",
                status="open",
                created_at=NOON,
                received_at=NOON,
            )
            for position_id in new_position_ids(60)
            for event_id in random.sample(EVENT_IDS, 3)
        ]
        appender = Appender(writer)
        for batch in in_batches(random.sample(history, len(history)), 40):
            batch.append(appender)
        assert rows_of(reader, ids_of(history)) == Rules().fold(each.fact for each in history)
        assert verify(reader) == []


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_appenders_take_turns_whatever_the_default_isolation(
    any_store_url: str, isolation: str
) -> None:
    with closing(connect(any_store_url)) as owner:
        owner.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(
                sql.Identifier(owner.info.dbname), isolation
            )
        )
    with (
        closing(connect(any_store_url)) as one,
        closing(connect(any_store_url)) as other,
        closing(connect(any_store_url)) as reader,
        ThreadPoolExecutor(2) as threads,
    ):
        history = book(Random(2), 60)
        start = threading.Barrier(2, timeout=DEADLINE)

        def work(appender: Appender) -> int:
            batches = in_batches(history, 10)
            start.wait()
            return sum(batch.append(appender).appended for batch in batches)

        done = threads.map(work, [Appender(one), Appender(other)])
        assert sum(done) == len(history)
        assert rows_of(reader, ids_of(history)) == Rules().fold(each.fact for each in history)
