"""What is read, as text: cells of CSV, or objects of JSON, over ``COPY``.

The text is PostgreSQL's own, so that every value is exact: no number of any length is rounded.
"""

from collections.abc import Generator
from typing import Final

from psycopg import sql

from positionstore.store.database import Store
from positionstore.store.read.query import Column, ColumnType, ReadQuery, reading

CHUNK: Final = 1000
"""Rows that are handed on at a time."""

Row = tuple[str | None, ...]


def cells(
    store: Store, selection: ReadQuery, *, by_day: bool = False, plain_times: bool = False
) -> Generator[list[Row]]:
    """Read rows as their cells, some rows at a time; the day comes first where it is wanted.

    Args:
        store: the store.
        selection: what is read.
        by_day: whether the day comes first.
        plain_times: whether times are in UTC, to the second, without ``T`` and zone.

    Raises:
        ConfigurationError: the server refuses the query.
    """
    cell = _cell_with_plain_times if plain_times else _cell
    return _read(store, selection, selection.statement(cell, by_day=by_day))


def objects(store: Store, selection: ReadQuery, *, by_day: bool = False) -> Generator[list[Row]]:
    """Read rows as one object of JSON each; the day comes first where it is wanted.

    JSON that stands in a column is part of it as it came, whatever the spelling of its numbers. A
    decimal is a text, since readers make floats of numbers.

    Raises:
        ConfigurationError: the server refuses the query.
    """
    values = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(
            sql.SQL("{}::text").format(column.value)
            if column.kind is ColumnType.DECIMAL
            else column.value,
            sql.Identifier(column.name),
        )
        for column in selection.columns
    )
    whole = sql.SQL("row_to_json((SELECT whole_row FROM (SELECT {}) AS whole_row))").format(values)
    return _read(store, selection, selection.statement(whole, by_day=by_day))


def _cell(column: Column) -> sql.Composable:
    value = column.value
    match column.kind:
        case ColumnType.MOMENT | ColumnType.LOCAL_MOMENT | ColumnType.DATE:
            return sql.SQL("to_json({}) #>> '{{}}'").format(value)  # ISO 8601
        case ColumnType.TEXTS | ColumnType.NUMBERS:
            return sql.SQL("to_json({})").format(value)
        case _:
            return sql.SQL("{}::text").format(value)


def _cell_with_plain_times(column: Column) -> sql.Composable:
    value = column.value
    match column.kind:
        case ColumnType.MOMENT:  # the session's time zone is UTC
            value = sql.SQL("{}::timestamp").format(value)
        case ColumnType.LOCAL_MOMENT:
            pass
        case _:
            return _cell(column)
    # An infinity and a year before Christ stay what no spreadsheet takes for a time.
    return sql.SQL(
        "CASE WHEN isfinite({0}) AND {0} >= '0001-01-01'"
        " THEN to_char({0}, 'YYYY-MM-DD HH24:MI:SS') ELSE {0}::text END"
    ).format(value)


def _read(store: Store, selection: ReadQuery, statement: sql.Composed) -> Generator[list[Row]]:
    with (
        reading(store, selection.what) as connection,
        connection.cursor().copy(sql.SQL("COPY ({}) TO STDOUT").format(statement)) as copy,
    ):
        chunk: list[Row] = []
        for row in copy.rows():
            chunk.append(row)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
