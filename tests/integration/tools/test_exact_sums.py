"""Amounts and durations are exact in the tools that analysts read the store with."""

import json
import subprocess
from contextlib import closing
from decimal import Decimal

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest
from support.factories import event
from support.tool_venv import tool_venv

import positionstore
from positionstore.store import database
from positionstore.store.appender import Appender

PIPS = (1_000, 2_000, -9_007_199_254_740_993)
"""A tenth and a fifth of a dollar, and an amount that a double cannot hold."""

UNITS = (1, 2**53 + 1, 10**17)
"""connectorx takes 28 digits, and has ten of them behind the point of every decimal."""

NET, HELD, TOKENS = "result_net_realized_pnl_usd", "held_for_seconds", "entry_position_token_units"
SUMS = {NET: Decimal("-900719925473.7993"), HELD: Decimal("10.500003"), TOKENS: sum(UNITS)}
ROWS = f"SELECT {', '.join(SUMS)} FROM closed_positions"

READ_ELSEWHERE = """
import glob, json, sys
import duckdb, polars
url, rows, *columns = json.loads(sys.argv[1])
(extension,) = glob.glob(f"{sys.prefix}/lib/*/site-packages/duckdb_ext/extensions/*/*/postgres*")
duck = duckdb.connect()
duck.execute(f"LOAD '{extension}'")
duck.execute(f"ATTACH '{url}' AS pg (TYPE postgres, READ_ONLY)")
sums = ", ".join(f"sum({column})" for column in columns)
(attached,) = duck.execute(f"SELECT {sums} FROM pg.closed_positions").fetchall()
(past,) = duck.execute(
    "SELECT sum(entry_position_token_units) FROM"
    " postgres_query('pg', 'SELECT entry_position_token_units FROM positions_as_of(now())')"
).fetchall()
types = duck.execute(f"SELECT {', '.join(columns)} FROM pg.closed_positions").description
frame = polars.read_database_uri(rows, url, engine="connectorx")
print(json.dumps({
    "duckdb": dict(zip(columns, map(str, attached))),
    "types": [str(column[1]) for column in types],
    "as_of": str(past[0]),
    "connectorx": {column: str(frame[column].sum()) for column in columns},
}))
"""


@pytest.fixture
def book_url(store_url: str) -> str:
    """The URL of a store with closed positions, one of which says nothing of its result."""
    with closing(database.connect(store_url)) as connection:
        facts = [
            event(
                f"evt_{i}", kind="position.closed", status="closed", position=f"p{i}",
                body={
                    "entry": {
                        "opened_at": "2026-07-01T12:00:00Z",
                        "position_token_units": str(UNITS[i]),
                    },
                    "result": {
                        "closed_at": "2026-07-01T12:00:03.500001Z",
                        "net_realized_pnl_usd_pips": str(PIPS[i]),
                    },
                },
            )
            for i in range(3)
        ]  # fmt: skip
        facts.append(event("evt_9", status="cancelled", position="p9"))
        Appender(connection).append(facts)
    return store_url


def test_psycopg(book_url: str) -> None:
    with psycopg.connect(book_url) as connection:
        rows = connection.execute(ROWS.encode()).fetchall()
    sums = [
        sum((value for value in column if value is not None), Decimal())
        for column in zip(*rows, strict=True)
    ]
    assert dict(zip(SUMS, sums, strict=True)) == SUMS


def test_pandas(book_url: str) -> None:
    with psycopg.connect(book_url) as connection, pytest.warns(UserWarning, match="SQLAlchemy"):
        frame = pd.read_sql(ROWS, connection, coerce_float=False)
    assert {name: frame[name].dropna().sum() for name in SUMS} == SUMS


def test_adbc_hands_over_the_digits_as_text(book_url: str) -> None:
    with adbc.connect(book_url) as connection, connection.cursor() as cursor:
        cursor.execute(ROWS)
        table = cursor.fetch_arrow_table()
    wide = pa.decimal128(38, 6)
    sums = {name: pa.compute.sum(table[name].cast(pa.string()).cast(wide)).as_py() for name in SUMS}
    assert sums == SUMS
    assert pl.read_database_uri(ROWS, book_url, engine="adbc").height == 4


def test_polars_divides_pips_with_the_digits_it_is_given(book_url: str) -> None:
    with positionstore.connect(book_url) as book:
        sums = book.sql(
            "SELECT sum(result_net_realized_pnl_usd_pips)::numeric(38, 0) AS pips"
            " FROM closed_positions"
        )
    dollars = pl.DataFrame(sums).select(pl.col("pips").cast(pl.Decimal(38, 4)) / 10_000)
    assert dollars.item() == SUMS[NET]


@pytest.mark.slow
def test_duckdb_attached_and_connectorx(book_url: str) -> None:
    tools = tool_venv(
        "analysts",
        [
            "connectorx==0.4.6",
            "duckdb==1.4.4",
            "duckdb-ext-postgres==1.4.4.20260205",
            "polars==2.1.0",
            "pyarrow==26.0.1",
        ],
    )
    done = subprocess.run(
        [tools / "python", "-c", READ_ELSEWHERE, json.dumps([book_url, ROWS, *SUMS])],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["types"] == ["DECIMAL(24,4)", "DECIMAL(18,6)", "DECIMAL(38,0)"]
    assert Decimal(found["as_of"]) == SUMS[TOKENS]
    for tool in ("duckdb", "connectorx"):
        assert {name: Decimal(value) for name, value in found[tool].items()} == SUMS
