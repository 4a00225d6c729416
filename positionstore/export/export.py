"""An export, from what is asked for to what was written."""

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
    """What is asked for.

    Attributes:
        relation: a table or view, or None.
        query: a query, or None; one of the two is given.
        form: the format.
        out: the file, or the folder where ``by_day`` is set; None is standard output.
        since: of the log, only the facts after this seq.
        by_day: whether each day has files of its own.
        raw: whether CSV's cells are as they are stored.
        exact_text: whether Parquet's decimals are text.
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
    """What was written.

    Attributes:
        what: the relation's name; ``query`` for a query.
        format: the files' format.
        out: the file or the folder; ``-`` is standard output.
        rows: how many there are.
        files: how many files were written.
        bytes: their size; 0 on standard output.
        since: the seq after which the log was read; None where all of it was, or something else.
        last_seq: the last seq that is in what was written, or before it: where the next export
            goes on; None where it was not the log.
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
    """Write what is asked for, row by row, whatever its size.

    Args:
        store: where from.
        order: what, and where to.
        standard_output: where to, where no file is named.
        progress: is told how many rows are written, and of about how many.

    Raises:
        ConfigurationError: there is no such thing, or it cannot be written so; nothing was.
        PositionstoreError: it went wrong on the way; no file has been left.
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
    """Return what is asked for, and the last seq of it, where it is the log."""
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
