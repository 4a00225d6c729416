"""What the notebook asks of the store: as the reader, one statement at a time, with limits."""

import json
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

import pyarrow as pa
from psycopg import sql

from positionstore.escaping import csv_cell
from positionstore.export.formats import csv_line
from positionstore.settings import load_settings
from positionstore.store import session
from positionstore.store.database import Store, opened
from positionstore.store.read import arrow, catalogue
from positionstore.store.read import query as selection

ROWS: Final = 100_000
"""The rows of a result at most; an export has no such limit."""

SECONDS: Final = 60
"""What a statement may take."""


POINTS: Final = 5_000
"""The rows that a chart draws at most."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a query.

    Attributes:
        table: its rows, the first :data:`ROWS` of them.
        is_cut: whether there are more.
    """

    table: pa.Table
    is_cut: bool


class Explorer:
    """The store, open for reading until the process ends.

    Attributes:
        role: the role of the database that asks.
        may_write: whether that role could write, were it to ask elsewhere.
        relations: what there is to read, with comments.
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        store = self._held.enter_context(opened(load_settings()))
        reader = store.reader() if store.reader is not None else None
        self._store = Store(reader or store.url, embedded=False, schema=store.schema)
        with closing(self._store.connect(reads=True)) as connection:
            self.role = session.role_of(connection)
            row = connection.execute("SELECT has_table_privilege('events', 'INSERT')").fetchone()
            self.may_write = bool(row and row[0])
            self.relations = catalogue.documented(connection)

    def run(self, query: str) -> Result:
        """Run a query, in a transaction that cannot write.

        Args:
            query: one statement that reads.

        Raises:
            ConfigurationError: the server refuses it, or it takes too long.
            PositionstoreError: a number has more digits than a decimal holds.
        """
        with closing(self._store.connect(reads=True)) as connection:
            connection.read_only = True
            chosen = selection.of_query(connection, query)
        limited = sql.SQL("SELECT * FROM (\n{}\n) AS limited LIMIT {}").format(
            chosen.query, ROWS + 1
        )
        found = arrow.batches(self._store, replace(chosen, query=limited), timeout=f"{SECONDS}s")
        with closing(found) as batches:
            table = pa.Table.from_batches(batches, arrow.schema(chosen))
        return Result(table.slice(0, ROWS), table.num_rows > ROWS)


@cache
def explorer() -> Explorer:
    """Return the one of this process; its visitors share it."""
    return Explorer()


def as_csv(table: pa.Table) -> bytes:
    """Return rows as CSV, exact and safe for spreadsheets, as the export writes it."""
    lines = [csv_line(map(csv_cell, table.column_names))]
    for batch in table.to_batches():
        columns = [map(_cell, column.to_pylist()) for column in batch.columns]
        lines.extend(map(csv_line, zip(*columns, strict=True)))
    return "".join(lines).encode()


def _cell(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool() | date() | str():
            return csv_cell(value)
        case Decimal():
            return format(value, "f")
        case list():
            return csv_cell(json.dumps(value, ensure_ascii=False))
        case _:
            return str(value)


def values_for_a_chart(table: pa.Table, names: list[str]) -> list[dict[str, Any]]:
    """Return rows as a chart takes them: its numbers are for the eye, and no decimals."""
    return [
        {name: _drawn(value) for name, value in row.items()}
        for row in table.select(names).to_pylist()
    ]


def _drawn(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case datetime() | date():
            return value.isoformat()
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def kind_for_a_chart(kind: pa.DataType) -> str:
    """Return what a column is to a chart: ``quantitative``, ``temporal`` or ``nominal``."""
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        return "temporal"
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return "quantitative" if is_number else "nominal"
