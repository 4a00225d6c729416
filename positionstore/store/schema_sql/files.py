"""What a migration replaces when fields are added, by its file's name; and their columns."""

from collections.abc import Sequence
from typing import Final

from positionstore.model.fields import ADDED_FIELDS, VALUATION_FIELDS, Field
from positionstore.store.schema_sql import as_of, book, facts
from positionstore.store.schema_sql.columns import (
    Column,
    column_of,
    comments,
    position_columns,
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


def positions_table() -> str:
    """Return the table as the initial migration makes it."""
    columns = position_columns(())
    width = max(len(column.name) for column in columns) + 1
    body = ",\n".join(f"    {column.name.ljust(width)}{column.type}" for column in columns)
    return _TABLE.format(body=body, comments=comments("positions", columns))


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


_TABLE: Final = """\
CREATE TABLE positions (
{body}
) WITH (fillfactor = 70); -- room for updates in place
COMMENT ON TABLE positions IS
    'The current state of each position: the fold of its facts. Written by positionstore alone;\
 last_event_id leads to the fact.';
{comments}

CREATE INDEX positions_live ON positions (position_id) WHERE phase <> 'terminal';
-- By hash, since a value of any length has to fit.
CREATE INDEX positions_wallet ON positions USING hash (wallet_address);
CREATE INDEX positions_misfit_fields ON positions (position_id) WHERE misfit_fields <> '{{}}';

-- A server without lz4 would compress a body anew at each change of its row, which costs as much as
-- all the rest of the write. There a body stays as it is as long as a page holds it; two such rows
-- fill a page.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) THEN
        ALTER TABLE positions SET (toast_tuple_target = 8160, fillfactor = 100);
    END IF;
END
$$;
"""
