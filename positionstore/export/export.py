"""Exports, from the request to the result."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psycopg

from positionstore.errors import ConfigurationError
from positionstore.export.destinations import Begin, Destination, File, PartitionedFolder, Stream
from positionstore.export.formats import Format, codec
from positionstore.store.database import Store
from positionstore.store.read import query as selection
from positionstore.store.read.query import LOG, ReadQuery

STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """The request.

    Attributes:
        relation: a table or view, or None.
        query: a query, or None; exactly one of the two is given.
        form: the format.
        out: the file, or the folder if ``by_day`` is set; None is standard output.
        since: for the log, only facts after this seq.
        by_day: whether each day has files of its own.
        raw: whether CSV cells are written as stored.
        exact_text: whether decimals in Parquet are text.
    """

    relation: str | None
    query: str | None
    form: Format
    out: Path | None
    since: int | None = None
    by_day: bool = False
    raw: bool = False
    exact_text: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """The result.

    Attributes:
        what: the relation's name; ``query`` for a query.
        format: the files' format.
        out: the file or the folder; ``-`` is standard output.
        rows: the number of rows.
        files: the number of files.
        bytes: their size; 0 on standard output.
        since: the seq after which the log was read; None for all of it, or anything else.
        last_seq: the last seq written, or before it: where the next export continues; None if it
            was not the log.
    """

    what: str
    format: str
    out: str
    rows: int
    files: int
    bytes: int
    since: int | None
    last_seq: int | None


def export(
    store: Store,
    order: ExportRequest,
    *,
    standard_output: IO[bytes],
    progress: Callable[[int, int | None], None],
) -> Exported:
    """Write the request, row by row, whatever its size.

    Args:
        store: the store.
        order: the request.
        standard_output: the destination without a file.
        progress: called with how many rows are written, and the approximate total.

    Raises:
        ConfigurationError: there is no such relation, or the request is invalid; nothing was
            written.
        PositionstoreError: it failed; no file is left.
    """
    with selection.reading(store, selection.QUERY if order.query else "") as connection:
        chosen, last_seq = _chosen(connection, order)
        expected = selection.expected_rows(connection, chosen)
    if order.by_day:
        chosen = chosen.told_apart_by_day()
    form = codec(order.form, store, chosen, raw=order.raw, exact_text=order.exact_text)
    rows = 0
    with (
        _destination(order, chosen, last_seq, standard_output, form.writer) as destination,
        closing(form.pieces(by_day=order.by_day)) as pieces,
    ):
        for piece in pieces:
            destination.write(piece)
            rows += piece.rows
            progress(rows, max(rows, expected))
    return Exported(
        chosen.what,
        order.form,
        str(order.out or STANDARD_OUTPUT),
        rows,
        destination.files,
        destination.size,
        order.since,
        last_seq,
    )


def _chosen(connection: psycopg.Connection, order: ExportRequest) -> tuple[ReadQuery, int | None]:
    """Return the query of the request, and its last seq if it is the log."""
    if order.query is not None:
        return selection.of_query(connection, order.query), None
    name = order.relation or ""
    if name != LOG:
        chosen = selection.of_relation(connection, name)
        if order.since is not None:
            raise ConfigurationError(
                f"--since goes with {LOG}, which alone are in the order of a seq, not with {name}."
            )
        return chosen, None
    # What is committed later has a greater seq, so the log up to here is complete.
    last, since = selection.newest_seq(connection), order.since or 0
    if since > last:
        raise ConfigurationError(
            f"The log ends at seq {last}, before --since {since}.",
            remedy="Is it the same store that the last export read?",
        )
    return selection.of_log(connection, after=since, until=last), last


def _destination(
    order: ExportRequest,
    chosen: ReadQuery,
    last_seq: int | None,
    standard_output: IO[bytes],
    begin: Begin,
) -> Destination:
    if order.out is None:
        return Stream(standard_output, begin)
    if not order.by_day:
        return File(order.out, begin)
    span = None if last_seq is None else ((order.since or 0) + 1, last_seq)
    return PartitionedFolder(
        order.out, order.form, begin, what=chosen.what, span=span, add=order.since is not None
    )
