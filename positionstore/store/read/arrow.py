"""What is read, as Arrow: batch by batch, over ``COPY`` in PostgreSQL's binary format.

Every value is exact. The statement makes of each column one of a few types that come over as they
are, and what Arrow cannot take that way (decimals, durations, arrays) is made of text or of whole
numbers here. Needs the extra ``arrow``, and is imported only where it is used.
"""

import contextlib
import json
from collections.abc import Generator, Iterator
from typing import Final

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from positionstore.errors import DatabaseUnavailableError, PositionstoreError
from positionstore.store import session
from positionstore.store.database import Store
from positionstore.store.read.query import APPLICATION, Column, ColumnType, ReadQuery, refused

BATCH_BYTES: Final = 16 * 1024 * 1024
"""About how much is in one batch."""

POSITION: Final = "position_id"
"""The column that says of which position a row is."""

_TYPES: Final = {
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.SMALL: pa.int16(),
    ColumnType.INTEGER: pa.int32(),
    ColumnType.BIG: pa.int64(),
    ColumnType.REAL: pa.float32(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.TEXT: pa.string(),
    ColumnType.JSON: pa.string(),
    ColumnType.BYTES: pa.binary(),
    ColumnType.MOMENT: pa.timestamp("us", tz="UTC"),
    ColumnType.LOCAL_MOMENT: pa.timestamp("us"),
    ColumnType.DATE: pa.date32(),
    ColumnType.SPAN: pa.duration("us"),
    ColumnType.TEXTS: pa.list_(pa.string()),
    ColumnType.NUMBERS: pa.list_(pa.int64()),
}
_ENDS: Final = {
    "first": sql.Literal("0001-01-01 00:00:00"),
    "last": sql.Literal("9999-12-31 23:59:59.999999"),
}
"""The moments that every reader can hold; an ``infinity`` becomes one of them."""

_SENT: Final = {
    ColumnType.DECIMAL: sql.SQL("trim_scale({value})::text"),
    ColumnType.TEXT: sql.SQL("{value}::text"),
    ColumnType.JSON: sql.SQL("{value}::text"),
    ColumnType.BIG: sql.SQL("{value}::bigint"),  # an oid, too
    ColumnType.SPAN: sql.SQL("(extract(epoch FROM {value}) * 1000000)::bigint"),
    ColumnType.TEXTS: sql.SQL("to_json({value})::text"),
    ColumnType.NUMBERS: sql.SQL("to_json({value})::text"),
    ColumnType.MOMENT: sql.SQL(
        "CASE WHEN {value} < {first}::timestamptz THEN {first}::timestamptz"
        " WHEN {value} > {last}::timestamptz THEN {last}::timestamptz ELSE {value} END"
    ),
    ColumnType.LOCAL_MOMENT: sql.SQL(
        "CASE WHEN {value} < {first}::timestamp THEN {first}::timestamp"
        " WHEN {value} > {last}::timestamp THEN {last}::timestamp ELSE {value} END"
    ),
    ColumnType.DATE: sql.SQL(
        "CASE WHEN {value} < {first}::date THEN {first}::date"
        " WHEN {value} > {last}::date THEN {last}::date ELSE {value} END"
    ),
}
"""How a column's value is sent; any other as it is."""


def schema(selection: ReadQuery, *, exact_text: bool = False) -> pa.Schema:
    """Return what its batches look like.

    Args:
        selection: what is read.
        exact_text: whether decimals are read as text.
    """
    return pa.schema([(c.name, _type(c, exact_text=exact_text)) for c in selection.columns])


def batches(
    store: Store,
    selection: ReadQuery,
    *,
    by_day: bool = False,
    exact_text: bool = False,
    timeout: str = "0",
) -> Generator[pa.RecordBatch]:
    """Read it in one transaction that cannot write, a batch at a time.

    Args:
        store: where from; a connection of its own is opened, and closed in the end.
        selection: what is read.
        by_day: whether a column with the day comes first, as ``ReadQuery.statement`` has it.
        exact_text: whether decimals are read as text, whatever their digits.
        timeout: what the statement may take, with a unit; 0 is without end.

    Raises:
        PositionstoreError: a number has more digits than its type holds, or the server refuses.
    """
    with store.connect(reads=True) as connection:
        statement = selection.statement(_sent, by_day=by_day).as_string(connection)
        ours = session.settings(connection.info.server_version, reads=True, schema=store.schema)
    # A pooler that keeps no session was refused just now, and what follows is one transaction.
    with (
        _errors(selection.what),
        adbc.connect(store.url) as connection,
        connection.cursor() as cursor,
    ):
        for setting in (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            f"SET LOCAL application_name = '{APPLICATION}'",
            *(
                f"SET LOCAL {name} = " + (value if name == session.SEARCH_PATH else f"'{value}'")
                for name, value in ours.items()
            ),
            f"SET LOCAL statement_timeout = '{timeout}'",
        ):
            cursor.execute(setting)
        cursor.adbc_statement.set_options(
            **{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
        )
        cursor.execute(statement)
        names = [column.name for column in selection.columns]
        for batch in cursor.fetch_record_batch():
            columns = batch.columns
            day, columns = (columns[:1], columns[1:]) if by_day else ([], columns)
            positions = columns[names.index(POSITION)] if POSITION in names else None
            made = [
                _made(values, column, positions, exact_text=exact_text)
                for values, column in zip(columns, selection.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays([*day, *made], names=[*(["day"] * by_day), *names])


def _type(column: Column, *, exact_text: bool) -> pa.DataType:
    if column.kind is not ColumnType.DECIMAL:
        return _TYPES[column.kind]
    return pa.string() if exact_text else pa.decimal128(column.precision, column.scale)


def _sent(column: Column) -> sql.Composable:
    """Return a column's value in one of the types that come over as they are."""
    value = _SENT.get(column.kind, sql.SQL("{value}"))
    return value.format(value=column.value, **_ENDS)


def _made(
    values: pa.Array, column: Column, positions: pa.Array | None, *, exact_text: bool
) -> pa.Array:
    """Return a column's values in its type, from what came over; the positions are for errors."""
    wanted = _type(column, exact_text=exact_text)
    match column.kind:
        case ColumnType.DECIMAL if not exact_text:
            return _decimals(values, column, positions).cast(wanted)
        case ColumnType.TEXTS | ColumnType.NUMBERS:
            # Most rows have one of few lists.
            coded = values.dictionary_encode()
            lists = [json.loads(text) for text in coded.dictionary.to_pylist()]
            try:
                return pa.array(lists, wanted).take(coded.indices)
            except pa.ArrowException:
                raise PositionstoreError(
                    f"Column {column.name} has an array of more than one dimension.",
                    remedy="Read it as text: write ::text behind it in --sql.",
                ) from None
        case _:
            return values if values.type == wanted else values.cast(wanted)


def _decimals(values: pa.Array, column: Column, positions: pa.Array | None) -> pa.Array:
    """Return the values, each of which fits: Arrow's own check lets some pass that do not."""
    whole = column.precision - column.scale
    fraction = rf"(\.[0-9]{{1,{column.scale}}})?" if column.scale else ""
    pattern = rf"^-?[0-9]{{1,{max(whole, 1)}}}{fraction}$"
    fits = pc.match_substring_regex(values, pattern)
    if not pc.all(fits, min_count=0).as_py():
        place = pc.index(fits, value=False).as_py()
        odd = values[place].as_py()
        of = "" if positions is None else f" of position {positions[place].as_py()}"
        raise PositionstoreError(
            f"Column {column.name}{of} holds {odd[:60]}, which is no decimal of {whole} digits"
            f" before the point and {column.scale} behind it.",
            remedy="Read numbers as text with --numeric text, or give --sql a query that rounds it"
            " and casts it: round(x, 4)::numeric(38, 4).",
        )
    return values


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Say in one line what the driver, or the server behind it, says in many."""
    try:
        yield
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        # Arrow says with an OSError, or as invalid, what goes wrong in a stream.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        words = lines[0] if lines else type(error).__name__
        _, of_a_statement, complaint = words.rpartition("ERROR:")
        if of_a_statement:
            raise refused(what, complaint) from None
        raise DatabaseUnavailableError(f"PostgreSQL says: {words.rstrip('.')}.") from None
