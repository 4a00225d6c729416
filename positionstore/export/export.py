"""Exports, from the request to the result."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import psycopg

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.export.destinations import Begin, Destination, File, Stream
from positionstore.export.folders import Folder, LocalFolder
from positionstore.export.formats import CsvStyle, Format, codec
from positionstore.export.increments import FolderContents, Plan
from positionstore.export.partitioned import PartitionedFolder
from positionstore.store.database import Store
from positionstore.store.locks import try_session_lock
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
        out: the file, or the folder if ``by_day`` or ``resume`` is set; None is standard output.
        since: for the log, only facts after this seq.
        resume: for the log, only facts after those that the folder holds.
        by_day: whether each day has files of its own.
        csv: how CSV is written.
        exact_text: whether decimals in Parquet are text.
    """

    relation: str | None
    query: str | None
    form: Format
    out: Path | None
    since: int | None = None
    resume: bool = False
    by_day: bool = False
    csv: CsvStyle = field(default_factory=CsvStyle)
    exact_text: bool = False

    @property
    def into_a_folder(self) -> bool:
        """Whether ``out`` is a folder."""
        return self.by_day or self.resume


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
    destination: Destination
    with ExitStack() as held:
        target = _Target(store, order, held) if order.into_a_folder else None
        since = target.plan.since if target and target.plan else order.since
        with selection.reading(store, selection.QUERY if order.query else "") as connection:
            chosen, last_seq = _chosen(connection, order, since)
            expected = selection.expected_rows(connection, chosen)
        if order.by_day:
            chosen = chosen.told_apart_by_day()
        form = codec(order.form, store, chosen, csv=order.csv, exact_text=order.exact_text)
        if target is not None:
            span = None if last_seq is None else ((since or 0) + 1, last_seq)
            destination = target.destination(form.writer, chosen.what, span)
        elif order.out is not None:
            destination = File(order.out, form.writer)
        else:
            destination = Stream(standard_output, form.writer)
        rows = 0
        with destination, closing(form.pieces(by_day=order.by_day)) as pieces:
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
        since,
        last_seq,
    )


class _Target:
    """A folder that the export goes to; no other export goes there meanwhile.

    Attributes:
        plan: how an increment is added; None where everything is replaced.
    """

    def __init__(self, store: Store, order: ExportRequest, held: ExitStack) -> None:
        if order.out is None:
            raise ConfigurationError("Standard output is no folder.", remedy="Add --out FOLDER.")
        self._order = order
        self._folder: Folder = LocalFolder(order.out)
        connection = held.enter_context(store.connect(reads=True))
        if not try_session_lock(connection, _key_of(str(order.out.absolute()))):
            raise PositionstoreError(
                f"Another export is writing to {order.out}.", remedy="Wait until it has ended."
            )
        if order.since is not None:
            _require_reached(order.since, selection.newest_seq(connection))
        what = order.relation or selection.QUERY
        contents = FolderContents(self._folder.name, what, order.form, by_day=order.by_day)
        contents.sort_in(self._folder.paths())
        self.plan: Plan | None = None
        if order.resume or order.since is not None:
            contents.understand([self._folder.read(path) for path in contents.marker_paths])
            self.plan = contents.plan(order.since)

    def destination(self, begin: Begin, what: str, span: tuple[int, int] | None) -> Destination:
        """Return where pieces go."""
        return PartitionedFolder(
            self._folder, self._order.form, begin, what=what, span=span, plan=self.plan
        )


def _key_of(place: str) -> int:
    """Return the key of a folder's lock."""
    return int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], signed=True)


def _chosen(
    connection: psycopg.Connection, order: ExportRequest, since: int | None
) -> tuple[ReadQuery, int | None]:
    """Return the query of the request, and its last seq if it is the log."""
    if order.query is not None:
        return selection.of_query(connection, order.query), None
    name = order.relation or ""
    if name != LOG:
        return selection.of_relation(connection, name), None
    # What is committed later has a greater seq, so the log up to here is complete.
    last, after = selection.newest_seq(connection), since or 0
    _require_reached(after, last)
    return selection.of_log(connection, after=after, until=last), last


def _require_reached(seq: int, last: int) -> None:
    if seq > last:
        raise ConfigurationError(
            f"The log ends at seq {last}, before --since {seq}.",
            remedy="Is it the same store that the last export read?",
        )
