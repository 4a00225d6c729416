"""The names that docs/compatibility.md promises are there, with the types it says."""

import re
from pathlib import Path

import psycopg
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
RELATIONS, FUNCTIONS = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
COLUMNS = """
    SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
SIGNATURE = """
    SELECT pg_get_function_arguments(oid), pg_get_function_result(oid) FROM pg_proc
    WHERE proname = %s AND pronamespace = current_schema()::regnamespace
"""


def promises(part: str) -> dict[str, list[list[str]]]:
    """Return the lines of each block under each name."""
    found = {}
    for section in part.split("\n### ")[1:]:
        name, _, rest = section.partition("\n")
        found[name] = [
            block.splitlines() for block in re.findall(r"```text\n(.*?)\n```", rest, re.DOTALL)
        ]
    return found


def short(types: str) -> str:
    return types.replace("timestamp with time zone", "timestamptz")


def test_the_page_promises_what_analysts_read() -> None:
    assert len(promises(RELATIONS)) == 22
    assert set(promises(FUNCTIONS)) >= {
        "positions_as_of",
        "facts_as_of",
        "book_changes",
        "events_after",
    }
    assert all(blocks and blocks[0] for blocks in promises(RELATIONS).values())


def broken_columns(connection: psycopg.Connection, name: str) -> set[str]:
    (promised,) = promises(RELATIONS)[name]
    there = {short(column) for (column,) in connection.execute(COLUMNS, [name])}
    return set(promised) - there


def broken_signature(connection: psycopg.Connection, name: str) -> set[str]:
    arguments, *result = promises(FUNCTIONS)[name]
    found = connection.execute(SIGNATURE, [name]).fetchall()
    if len(found) != 1:
        return {name}
    ((takes, gives),) = found
    broken = set() if short(takes).split(", ")[: len(arguments)] == arguments else set(arguments)
    for promised in result:
        columns = short(gives).removeprefix("TABLE(").removesuffix(")").split(", ")
        broken |= set(promised) - set(columns)
    return broken


@pytest.mark.parametrize("name", promises(RELATIONS))
def test_every_promised_column_is_there_with_its_type(any_store_url: str, name: str) -> None:
    with psycopg.connect(any_store_url) as connection:
        assert broken_columns(connection, name) == set()


@pytest.mark.parametrize("name", promises(FUNCTIONS))
def test_every_promised_function_is_called_as_it_says(any_store_url: str, name: str) -> None:
    with psycopg.connect(any_store_url) as connection:
        assert broken_signature(connection, name) == set()


@pytest.mark.parametrize(
    ("mutation", "broken"),
    [
        ("ALTER VIEW open_positions RENAME valuation_age TO age", "open_positions"),
        ("ALTER TABLE positions RENAME side TO outcome", "positions"),
        ("ALTER TABLE quarantine ALTER detail TYPE varchar(80)", "quarantine"),
        ("ALTER TABLE valuations DROP health_bps CASCADE", "valuations"),
        ("DROP VIEW daily_activity", "daily_activity"),
        (
            "ALTER TABLE discrepancies ALTER noticed_at TYPE timestamp USING noticed_at",
            "discrepancies",
        ),
        (
            (
                "DROP FUNCTION events_after;"
                "CREATE FUNCTION events_after(after bigint, lim integer) RETURNS SETOF events"
                " LANGUAGE sql AS 'SELECT * FROM events'"
            ),
            "events_after",
        ),
        ("DROP FUNCTION book_changes", "book_changes"),
    ],
)
def test_a_promise_that_is_broken_is_noticed(store_url: str, mutation: str, broken: str) -> None:
    with psycopg.connect(store_url) as connection:
        connection.execute(mutation.encode())
        look = broken_columns if broken in promises(RELATIONS) else broken_signature
        assert look(connection, broken) != set()


def test_the_book_as_it_was_has_the_columns_of_positions(store_url: str) -> None:
    promised = set(promises(RELATIONS)["positions"][0])
    with psycopg.connect(store_url) as connection:
        ((_, gives),) = connection.execute(SIGNATURE, ["positions_as_of"]).fetchall()

    columns = set(short(gives).removeprefix("TABLE(").removesuffix(")").split(", "))
    plain = {column.replace(" token_units", " numeric(38,0)") for column in columns}
    assert plain == promised - {"verified_at timestamptz"}
