"""What a migration replaces when fields are added, by its file's name; and their columns."""

from collections.abc import Sequence
from typing import Final

from positionstore.model.fields import ADDED_FIELDS, VALUATION_FIELDS, Field
from positionstore.store.schema_sql import as_of, book, facts
from positionstore.store.schema_sql.columns import (
    Column,
    column_of,
    comments,
    valuation_column,
)

VALUATION_TABLES: Final = ("valuations", "valuation_history")
"""The tables with a column for each field of a valuation."""


def replaced(added: Sequence[Field] = ADDED_FIELDS) -> dict[str, str]:
    """Return the SQL of each object with a column for each field, but the table."""
    return {
        "views/fact_positions": facts.view(added),
        "functions/positions_as_of": as_of.function(added),
        "views/open_positions": book.view(book.OPEN, added),
        "views/closed_positions": book.view(book.CLOSED, added),
    }


def add_columns(fields: Sequence[Field]) -> str:
    """Return what adds the columns of some fields to ``positions``, and to the valuations."""
    added = _added("positions", [column_of(field) for field in fields])
    return added + add_valuation_columns([each for each in fields if each in VALUATION_FIELDS])


def add_valuation_columns(fields: Sequence[Field]) -> str:
    """Return what adds the columns of some fields to the tables of valuations."""
    columns = list(map(valuation_column, fields))
    return "".join(_added(name, columns) for name in VALUATION_TABLES) if fields else ""


def _added(table: str, columns: Sequence[Column]) -> str:
    body = ",\n".join(f"    ADD COLUMN {column.name} {column.type}" for column in columns)
    return f"ALTER TABLE {table}\n{body};\n{comments(table, columns)}\n"
