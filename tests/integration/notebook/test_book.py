"""The door for notebooks: tables of what the store holds, and nothing but reading."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal

import polars as pl
import psycopg
import pytest
from support.factories import event, moment

import positionstore
from positionstore.errors import ConfigurationError
from positionstore.notebook import Book
from positionstore.store import database
from positionstore.store.appender import Appender

BODY = {
    "market_ticker": "RAIN",
    "wallet_address": "0xa",
    "entry": {"notional_usd_pips": 123_456},
    "current": {"notional_usd_pips": 9_007_199_254_740_993},
}


@pytest.fixture
def book(store_url: str) -> Iterator[Book]:
    with closing(database.connect(store_url)) as connection:
        appender = Appender(connection)
        appender.append([event("evt_1", body=BODY), event("evt_2", position="dm_pos_2", at=5)])
        appender.append([event("evt_3", kind="position.closed", status="closed", at=60, body=BODY)])
    with positionstore.connect(store_url) as book:
        yield book


def test_positions_are_a_table_of_exact_values(book: Book) -> None:
    table = book.positions()

    assert table["position_id"].to_pylist() == ["dm_pos_1", "dm_pos_2"]
    assert table["current_notional_usd_pips"].to_pylist()[0] == 9_007_199_254_740_993
    assert book.positions(phase="live")["position_id"].to_pylist() == ["dm_pos_2"]
    assert book.positions(wallet="0xa", market="RAIN").num_rows == 1
    assert book.positions(wallet="' OR true --").num_rows == 0
    frame = book.table("closed_positions").to_pandas()
    assert frame["entry_notional_usd"][0] == Decimal("12.3456")


def test_a_frame_keeps_integers_integers(book: Book) -> None:
    held = "current_notional_usd_pips"
    with book.batches("positions") as reader:
        frames = (book.positions().to_pandas(), reader.read_pandas())
    for frame in frames:
        assert frame[held].dtype == "Int64"
        assert frame[held].sum() == 9_007_199_254_740_993
        assert sorted(frame[held].isna()) == [False, True]
    assert pl.DataFrame(book.positions())[held].to_list() == [9_007_199_254_740_993, None]
    assert book.sql("SELECT 1::int2 AS a, 2 AS b").to_pandas().dtypes.to_dict() == {
        "a": "Int16", "b": "Int32"
    }  # fmt: skip


def test_events_come_in_order_whole_or_in_batches(book: Book) -> None:
    assert book.events()["event_id"].to_pylist() == ["evt_1", "evt_2", "evt_3"]
    assert book.events(since=1, position="dm_pos_1")["event_id"].to_pylist() == ["evt_3"]
    with book.batches("events", since=1) as reader:
        assert sum(batch.num_rows for batch in reader) == 2
    assert len(pl.from_arrow(book.batches("events").read_all())) == 3


def test_the_book_as_it_was_and_a_timeline(book: Book) -> None:
    before = book.as_of(moment(30))
    assert before["status"].to_pylist() == ["open", "open"]
    assert book.as_of(moment(90), position="dm_pos_1")["status"].to_pylist() == ["closed"]
    assert book.valid_at(moment(90), position="dm_pos_1")["status"].to_pylist() == ["closed"]
    assert book.valid_at(moment(90), known_time=moment(0)).num_rows == 0
    assert book.as_of(moment(90), known_at=moment(0)).num_rows == 0
    naive = datetime(2026, 7, 1, 12, 0, 30)  # noqa: DTZ001 - which is UTC's
    assert book.as_of(naive).equals(before)
    assert book.timeline("dm_pos_1")["type"].to_pylist() == ["position.opened", "position.closed"]


def test_it_can_only_read_what_there_is(book: Book, store_url: str) -> None:
    for query in ("DELETE FROM events", "SELECT setval('events_seq_seq', 9)", "SELECT 1; SELECT 2"):
        with pytest.raises(ConfigurationError, match="only reads"):
            book.sql(query)
    with pytest.raises(ConfigurationError, match="There are: "):
        book.table("nothing")
    with psycopg.connect(store_url) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(3,)]


def test_values_are_quoted(book: Book) -> None:
    query = "SELECT %(text)s::text AS text, 50 %% 7 AS rest"

    assert book.sql(query, {"text": "o'clock"}).to_pylist() == [{"text": "o'clock", "rest": 1}]


def test_the_door_is_light_until_it_is_opened() -> None:
    code = (
        "import sys, positionstore; positionstore.connect;"
        "print(sorted({'pyarrow', 'psycopg', 'pydantic', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "[]\n"
