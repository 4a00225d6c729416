"""The formats: how rows are read and written for each."""

import codecs
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import IO, Any, Final, Protocol

from positionstore.escaping import csv_cell, json_as_it_came
from positionstore.extras import arrow_needed
from positionstore.store.database import Store
from positionstore.store.read import text as lines
from positionstore.store.read.query import ColumnType, ReadQuery


class Format(StrEnum):
    """A format, by its file name extension; that of a table of Iceberg is a folder's."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    ICEBERG = "iceberg"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows.

    Attributes:
        day: their day; empty if rows are not partitioned.
        rows: their number.
        content: their contents, for the writer of the format.
    """

    day: str
    rows: int
    content: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvStyle:
    """How CSV is written.

    Attributes:
        raw: whether cells are written as stored, including formulas and control characters.
        bom: whether a file begins with a byte order mark, by which Excel knows UTF-8.
        plain_times: whether times are ``2026-07-01 17:00:00``, which spreadsheets know.
    """

    raw: bool = False
    bom: bool = False
    plain_times: bool = False


class Writer(Protocol):
    """Writes a file's rows."""

    def write(self, content: Any) -> None:
        """Write a piece's content."""

    def close(self, *, whole: bool) -> None:
        """Write the end of a complete file; the file itself stays open."""


class Codec(Protocol):
    """A format, for a query."""

    def pieces(self, *, by_day: bool) -> Generator[Piece]:
        """Read the rows."""

    def writer(self, file: IO[bytes]) -> Writer:
        """Open a writer on a file."""


def codec(
    form: Format, store: Store, selection: ReadQuery, *, csv: CsvStyle, exact_text: bool
) -> Codec:
    """Return the format for a query.

    Args:
        form: the format.
        store: the store.
        selection: the query.
        csv: how CSV is written.
        exact_text: whether decimals in Parquet are text.

    Raises:
        ConfigurationError: the extra for Parquet is not installed.
    """
    match form:
        case Format.PARQUET:
            with arrow_needed():
                # Here, because CSV and JSON Lines do without what Parquet needs.
                from positionstore.export.parquet import Parquet  # noqa: PLC0415

            return Parquet(store, selection, exact_text=exact_text)
        case Format.CSV:
            return _Csv(store, selection, csv)
        case Format.JSONL:
            return _JsonLines(store, selection)
        case Format.ICEBERG:
            raise AssertionError("a table of Iceberg is written by its library")


_TO_BE_QUOTED: Final = re.compile('[,"\r\n]')
_TEXTS: Final = {ColumnType.TEXT, ColumnType.JSON, ColumnType.TEXTS}


class _Csv:
    """CSV as RFC 4180 has it, in UTF-8, with a header; NULL is nothing, an empty text is ``""``."""

    def __init__(self, store: Store, selection: ReadQuery, style: CsvStyle) -> None:
        self._store, self._selection, self._style = store, selection, style
        columns = selection.columns
        # Numbers and moments are the server's own spelling, and nothing in them can do harm.
        self._texts = (
            () if style.raw else tuple(i for i, c in enumerate(columns) if c.kind in _TEXTS)
        )
        self._json = {
            i for i, c in enumerate(columns) if c.kind in {ColumnType.JSON, ColumnType.TEXTS}
        }

    def pieces(self, *, by_day: bool) -> Generator[Piece]:
        for rows in lines.cells(
            self._store, self._selection, by_day=by_day, plain_times=self._style.plain_times
        ):
            for day, own in _by_day(rows, by_day=by_day):
                yield Piece(day, len(own), "".join(map(self._line, own)).encode())

    def writer(self, file: IO[bytes]) -> Writer:
        names = csv_line(csv_cell(column.name) for column in self._selection.columns)
        file.write(codecs.BOM_UTF8 * self._style.bom + names.encode())
        return _Text(file)

    def _line(self, row: lines.Row) -> str:
        cells = list(row)
        for place in self._texts:
            if text := cells[place]:
                cells[place] = csv_cell(json_as_it_came(text) if place in self._json else text)
        return csv_line(cells)


def csv_line(cells: Iterable[str | None]) -> str:
    """Return cells, safe by now, as a line of CSV: None is nothing, an empty text is ``""``."""
    return ",".join(map(_quoted, cells)) + "\n"


def _quoted(cell: str | None) -> str:
    if cell is None:
        return ""
    if cell and not _TO_BE_QUOTED.search(cell):
        return cell
    return '"{}"'.format(cell.replace('"', '""'))


class _JsonLines:
    """JSON Lines: one object a row, in UTF-8."""

    def __init__(self, store: Store, selection: ReadQuery) -> None:
        self._store, self._selection = store, selection

    def pieces(self, *, by_day: bool) -> Generator[Piece]:
        for rows in lines.objects(self._store, self._selection, by_day=by_day):
            for day, own in _by_day(rows, by_day=by_day):
                text = "".join(f"{json_as_it_came(line or '')}\n" for (line,) in own)
                yield Piece(day, len(own), text.encode())

    def writer(self, file: IO[bytes]) -> Writer:
        return _Text(file)


class _Text:
    """Writes bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, content: bytes) -> None:
        self._file.write(content)

    def close(self, *, whole: bool) -> None:
        """Nothing follows the last row."""


def _by_day(
    rows: Sequence[lines.Row], *, by_day: bool
) -> Iterator[tuple[str, Sequence[lines.Row]]]:
    """Partition rows by their day, the first column; the order within a day stays."""
    if not by_day:
        yield "", rows
        return
    for day, own in groupby(sorted(rows, key=_day), key=_day):
        yield day, [row[1:] for row in own]


def _day(row: lines.Row) -> str:
    return row[0] or ""
