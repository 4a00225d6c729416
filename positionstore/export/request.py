"""The request for an export, and its result."""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.export.formats import CsvStyle, Format
from positionstore.store import archived
from positionstore.store.database import Store
from positionstore.store.locks import release, try_session_lock
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
        out: the file, or the folder if ``by_day`` or ``resume`` is set, as a path, or as the URL of
            a place in an object store; the warehouse of Iceberg; None is standard output.
        since: for the log, only facts after this seq.
        resume: for the log, only facts after those that the folder or table holds.
        compact: whether small files are merged afterwards.
        by_day: whether each day has files of its own.
        csv: how CSV is written.
        exact_text: whether decimals in Parquet are text.
    """

    relation: str | None
    query: str | None
    form: Format
    out: Path | str | None
    since: int | None = None
    resume: bool = False
    compact: bool = False
    by_day: bool = False
    csv: CsvStyle = field(default_factory=CsvStyle)
    exact_text: bool = False

    @property
    def place(self) -> str:
        """Where it goes, for people."""
        return STANDARD_OUTPUT if self.out is None else str(self.out)

    @property
    def what(self) -> str:
        """What the result is called."""
        return self.relation or selection.QUERY

    @property
    def is_log(self) -> bool:
        """Whether it is the log, which can be added to."""
        return self.relation == LOG

    @property
    def into_a_folder(self) -> bool:
        """Whether ``out`` is a folder."""
        return self.by_day or self.resume or self.form is Format.ICEBERG

    def chosen(
        self, connection: psycopg.Connection, since: int | None
    ) -> tuple[ReadQuery, int | None]:
        """Return what is read, and the last seq in it if it is the log.

        Args:
            connection: one that reads.
            since: for the log, the seq after which it begins.

        Raises:
            ConfigurationError: there is no such relation, or the query is refused.
        """
        if self.query is not None:
            return selection.of_query(connection, self.query), None
        if not self.is_log:
            return selection.of_relation(connection, self.relation or ""), None
        # What is committed later has a greater seq, so the log up to here is complete.
        last, after = selection.newest_seq(connection), since or 0
        if after > last:
            raise ConfigurationError(
                f"The log ends at seq {last}, before --since {after}.",
                remedy="Is it the same store that the last export read?",
            )
        return selection.of_log(connection, after=after, until=last), last

    def archives_left_out(self, store: Store, since: int | None) -> int:
        """Return how many archives have facts of the log that are not in what was read.

        Args:
            store: the store, after it was read.
            since: the seq after which it was read.

        Raises:
            StoreRefusedError: facts that follow it went into one meanwhile.
        """
        if not self.is_log:
            return 0
        with store.connect(reads=True) as connection:
            archived.refuse_behind(connection, since or 0)
            return 0 if since else archived.count(connection)[1]


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
        archives: of the log from its beginning, how many archives have facts that are not in it.
    """

    what: str
    format: str
    out: str
    rows: int
    files: int
    bytes: int
    since: int | None
    last_seq: int | None
    archives: int = 0


def alone(store: Store, key: str, place: str, held: ExitStack) -> None:
    """See that no other run on the store writes to a place until ``held`` is closed.

    Args:
        store: the store, whose server keeps the lock: it goes with the process, however it ends.
        key: what tells the place from others.
        place: the place, for people.
        held: keeps the lock.

    Raises:
        PositionstoreError: another run is writing to it.
    """
    connection = held.enter_context(store.connect(reads=True))
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
    if not try_session_lock(connection, number):
        raise PositionstoreError(
            f"Another run is writing to {place}.", remedy="Wait until it has ended."
        )
    held.callback(release, connection, number)
