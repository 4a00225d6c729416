"""What can be read out of the store, column by column: a table, a view, a query.

A query is described before it is run: the server prepares it, as the one statement that it has to
be, and says its columns.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import pq, sql

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.store import archived, citus
from positionstore.store.access import RELATIONS
from positionstore.store.database import Store
from positionstore.store.engine import is_distributed
from positionstore.store.queries import queries

APPLICATION: Final = "positionstore export"
"""What the server's list of connections shows."""

QUERY: Final = "query"
"""What a query is called, which has no name of its own."""

LOG: Final = "events"
"""The one relation that is read on from a seq."""

DAYS: Final = {
    LOG: "created_at",
    "backfills": "started_at",
    "closed_positions": "last_event_at",
    "coverage_gaps": "started_at",
    "daily_activity": "day",
    "discrepancies": "noticed_at",
    "open_positions": "last_event_at",
    "position_notifications": "created_at",
    "position_size_changes": "changed_at",
    "position_sub_resources": "asked_at",
    "position_timeline": "created_at",
    "positions": "last_event_at",
    "quarantine": "received_at",
    "reconciliation_runs": "started_at",
    "stream_sessions": "started_at",
    "valuation_history": "as_of",
}
"""Relation: the column whose day, in UTC, a row belongs to."""

NO_DAY: Final = "__HIVE_DEFAULT_PARTITION__"
"""The day of a row that has none, as Hive names it."""

WIDEST_DECIMAL: Final = 38
"""Digits of a decimal of 128 bits, the widest that every reader of Parquet takes as it is."""

_ONLY_READS: Final = "It has to be one statement that only reads: SELECT, WITH, VALUES or TABLE."
_ARCHIVED: Final = "needs facts that are in an archive"
"""What the functions of the past say of a moment for which the log is not enough."""
_BRING_BACK: Final = "Bring them back with `positionstore import`, or ask for a later moment."
_SCALE: Final = 20
"""Digits behind the point that a ``numeric`` without a precision is given."""


class ColumnType(StrEnum):
    """What a column holds. A type that is not here is read as its text."""

    BOOLEAN = "boolean"
    SMALL = "smallint"
    INTEGER = "integer"
    BIG = "bigint"
    REAL = "real"
    DOUBLE = "double"
    DECIMAL = "decimal"
    TEXT = "text"
    JSON = "json"
    BYTES = "bytes"
    MOMENT = "moment"
    LOCAL_MOMENT = "local moment"
    DATE = "date"
    SPAN = "span"
    TEXTS = "array of text"
    NUMBERS = "array of bigint"


_KINDS: Final = {
    "bool": ColumnType.BOOLEAN,
    "int2": ColumnType.SMALL,
    "int4": ColumnType.INTEGER,
    "int8": ColumnType.BIG,
    "oid": ColumnType.BIG,
    "float4": ColumnType.REAL,
    "float8": ColumnType.DOUBLE,
    "json": ColumnType.JSON,
    "jsonb": ColumnType.JSON,
    "bytea": ColumnType.BYTES,
    "timestamptz": ColumnType.MOMENT,
    "timestamp": ColumnType.LOCAL_MOMENT,
    "date": ColumnType.DATE,
    "interval": ColumnType.SPAN,
}
_WITH_A_DAY: Final = {ColumnType.DATE, ColumnType.MOMENT, ColumnType.LOCAL_MOMENT}
_ARRAYS: Final = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid"), ColumnType.TEXTS),
    **dict.fromkeys(("int2", "int4", "int8"), ColumnType.NUMBERS),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of what is read.

    Attributes:
        name: as the server says it.
        kind: what it holds.
        precision: a decimal's digits.
        scale: those of them behind the point.
    """

    name: str
    kind: ColumnType
    precision: int = 0
    scale: int = 0

    @property
    def value(self) -> sql.Composable:
        """The column in the statements that :meth:`ReadQuery.statement` makes."""
        return sql.SQL("q.{}").format(sql.Identifier(self.name))


@dataclass(frozen=True)
class ReadQuery:
    """What is read, and what it looks like.

    Attributes:
        what: the relation's name, or ``query``.
        query: a query that gives it.
        columns: its columns.
        order: the column it comes in the order of, or None.
        day: the column whose day a row belongs to; None where there is none.
    """

    what: str
    query: sql.Composable
    columns: tuple[Column, ...]
    order: str | None = None
    day: Column | None = None

    def told_apart_by_day(self) -> "ReadQuery":
        """Return it without a column named day, which readers of day folders add by themselves.

        Raises:
            ConfigurationError: a row has no day.
        """
        if self.day is None:
            raise ConfigurationError(
                f"A row of {self.what} has no day of its own.",
                remedy=f"Rows of these have one: {', '.join(DAYS)}; and those of a query with a"
                " column named day, a date or a moment.",
            )
        return replace(self, columns=tuple(c for c in self.columns if c.name != "day"))

    def statement(
        self, values: Callable[[Column], sql.Composable] | sql.Composable, *, by_day: bool = False
    ) -> sql.Composed:
        """Return the statement that gives its rows.

        Args:
            values: gives each column's value from ``column.value``; or all there is to give.
            by_day: whether the day comes first, and rows are in its order, but for the log, which
                keeps its own.
        """
        shown = (
            [values]
            if isinstance(values, sql.Composable)
            else [
                sql.SQL("{} AS {}").format(values(column), sql.Identifier(column.name))
                for column in self.columns
            ]
        )
        order: sql.Composable = sql.SQL("")
        if self.order is not None:
            order = sql.SQL(" ORDER BY q.{}").format(sql.Identifier(self.order))
        elif by_day:
            order = sql.SQL(" ORDER BY {}").format(self._day_of_a_row())
        return sql.SQL("SELECT {} FROM (\n{}\n) AS q{}").format(
            sql.SQL(", ").join([self._day_of_a_row(), *shown] if by_day else shown),
            self.query,
            order,
        )

    def _day_of_a_row(self) -> sql.Composable:
        if self.day is None:
            return sql.Literal(NO_DAY)
        day = self.day.value
        if self.day.kind is ColumnType.MOMENT:
            day = sql.SQL("({} AT TIME ZONE 'UTC')").format(day)
        return sql.SQL("coalesce({}::date::text, {})").format(day, NO_DAY)


@contextlib.contextmanager
def reading(store: Store, what: str) -> Iterator[psycopg.Connection]:
    """Open a connection in a transaction that sees one moment of the store and cannot write.

    Args:
        store: where to.
        what: a selection's ``what``.

    Raises:
        ConfigurationError: the server refuses a query that was given.
    """
    with store.connect(application_name=APPLICATION, reads=True) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        try:
            with connection.transaction():
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise refused(what, str(error)) from None
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.InternalError) as error:
            if what != QUERY:
                raise
            raise refused(what, str(error)) from None


def relations(connection: psycopg.Connection) -> list[str]:
    """Return the names of the tables and views that can be read."""
    return [name for (name,) in connection.execute(queries("query")["relations"])]


def newest_seq(connection: psycopg.Connection) -> int:
    """Return the last seq of the log that may be taken for complete, 0 where it is empty."""
    if is_distributed(connection):
        return citus.watermark(connection)
    row = connection.execute(queries("query")["newest_seq"]).fetchone()
    return (row and row[0]) or 0


def expected_rows(connection: psycopg.Connection, selection: ReadQuery) -> int:
    """Return about how many rows it has, as the planner thinks."""
    statement = sql.SQL("EXPLAIN (FORMAT JSON) {}").format(selection.query)
    row = connection.execute(statement).fetchone()
    return int(row[0][0]["Plan"]["Plan Rows"]) if row else 0


def of_relation(
    connection: psycopg.Connection, name: str, where: sql.Composable | None = None
) -> ReadQuery:
    """Return all of a table or view, or the rows for which ``where`` holds.

    Raises:
        ConfigurationError: there is none of that name; the message lists those there are.
    """
    known = relations(connection)
    # One that is there, but not for this role, is refused by the server, in its own words.
    if name not in known and (name not in RELATIONS or name == "alembic_version"):
        raise ConfigurationError(
            f"There is no {name!r} to read.", remedy=f"There are: {', '.join(known)}."
        )
    query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))
    if where is not None:
        query = sql.SQL("{} WHERE {}").format(query, where)
    columns = tuple(
        # Decimals of one width, whatever a view says: a feed's files are read as one table.
        replace(column, precision=WIDEST_DECIMAL) if column.kind is ColumnType.DECIMAL else column
        for column in described(connection, query.as_string(connection))
    )
    by_name = {column.name: column for column in columns}
    return ReadQuery(
        name, query, columns, "seq" if name == LOG else None, by_name.get(DAYS.get(name, ""))
    )


def of_log(connection: psycopg.Connection, *, after: int, until: int) -> ReadQuery:
    """Return the facts whose seq is greater than ``after``, up to ``until``, in order.

    Raises:
        StoreRefusedError: some of them are in an archive.
    """
    archived.refuse_behind(connection, after)
    return of_relation(connection, LOG, sql.SQL("seq > {} AND seq <= {}").format(after, until))


def of_query(connection: psycopg.Connection, query: str) -> ReadQuery:
    """Return what a query gives.

    Raises:
        ConfigurationError: it is not one query that gives rows, or names two columns alike.
    """
    # What follows it here would otherwise be a second statement, though an empty one.
    query = query.strip().rstrip("; \t\r\n")
    try:
        # By itself first: only what is one whole statement may be set into another.
        if not described(connection, query):
            raise ConfigurationError(f"The query gives no columns. {_ONLY_READS}")
        chosen = ReadQuery(QUERY, sql.SQL(query), ())
        set_in = chosen.statement(sql.SQL("*")).as_string(connection)
        columns = described(connection, set_in)
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
        raise refused(QUERY, str(error)) from None
    except UnicodeEncodeError:
        raise ConfigurationError(f"The query is no text in UTF-8. {_ONLY_READS}") from None
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"Two columns of the query are named {twice[0]!r}.",
            remedy="Rename one with AS.",
        )
    day = next((c for c in columns if c.name == "day" and c.kind in _WITH_A_DAY), None)
    return replace(chosen, columns=columns, day=day)


def refused(what: str, words: str) -> PositionstoreError:
    """Return the error for what the server does not do, or not to the end.

    Args:
        what: a selection's ``what``.
        words: the server's.
    """
    said = f"PostgreSQL says: {words.strip().partition(chr(10))[0]}."
    if what != QUERY:
        return PositionstoreError(said)
    remedy = _BRING_BACK if _ARCHIVED in words else _ONLY_READS
    return ConfigurationError(f"The query cannot be run; {said}", remedy=remedy)


def described(connection: psycopg.Connection, query: str) -> tuple[Column, ...]:
    """Let the server prepare a query and say its columns.

    Args:
        connection: is not used by another meanwhile.
        query: any text.
    """
    server = connection.pgconn
    for result in (server.prepare(b"", query.encode()), server.describe_prepared(b"")):
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
    return tuple(
        _column(connection, (result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i))
        for i in range(result.nfields)
    )


def _column(connection: psycopg.Connection, name: str, oid: int, modifier: int) -> Column:
    known = connection.adapters.types.get(oid)
    if known is None:
        return Column(name, ColumnType.TEXT)
    if known.array_oid == oid:
        return Column(name, _ARRAYS.get(known.name, ColumnType.TEXT))
    if known.name != "numeric":
        return Column(name, _KINDS.get(known.name, ColumnType.TEXT))
    if modifier < 0:
        return Column(name, ColumnType.DECIMAL, WIDEST_DECIMAL, _SCALE)
    # The modifier of numeric(p, s): both in one number, the scale in eleven bits with its sign.
    precision, digits = (modifier - 4) >> 16 & 0xFFFF, ((modifier - 4 & 0x7FF) ^ 1024) - 1024
    if not 0 <= digits <= precision <= WIDEST_DECIMAL:
        return Column(name, ColumnType.TEXT)
    return Column(name, ColumnType.DECIMAL, precision, digits)
