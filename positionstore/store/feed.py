"""The log as a feed: each fact once, in the order of the log, while writers write."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from positionstore.store.engine import is_distributed
from positionstore.store.queries import queries

PAGE = 1000
"""Facts that are read at a time."""


@dataclass(frozen=True, slots=True)
class LoggedFact:
    """A row of the log.

    Attributes:
        seq: its place in the log.
        event_id: its id.
        position_id: the position it speaks of; empty where it names none.
        type: its type, or ``snapshot``.
        status: the position's status in it; None for a notification.
        created_at: when the vendor emitted it, UTC.
        received_at: when it reached positionstore, UTC.
        source: the door it came through.
        supersedes_before: of a snapshot what it overrules, UTC.
        retracts: of a retraction the ``event_id`` of the fact that it names.
        envelope: the JSON object as it came.
    """

    seq: int
    event_id: str
    position_id: str
    type: str
    status: str | None
    created_at: datetime
    received_at: datetime
    source: str
    supersedes_before: datetime | None
    retracts: str | None
    envelope: str


def announce(connection: psycopg.Connection, seq: int) -> None:
    """Tell listeners, once this transaction commits, that the log has grown up to ``seq``.

    On Citus they are told when it is published, since they may not read that far before.
    """
    if not is_distributed(connection):
        connection.execute(queries("appender")["announce"], {"seq": str(seq)})


def before_the_newest(connection: psycopg.Connection, number: int) -> int:
    """Return the seq after which the newest ``number`` facts stand."""
    row = connection.execute(queries("feed")["before_the_newest"], {"number": number}).fetchone()
    return row[0] if row else 0


def pages_after(
    connection: psycopg.Connection, seq: int, *, follow: bool, poll: float = 5.0
) -> Iterator[list[LoggedFact]]:
    """Yield the facts after ``seq`` in the order of the log, some at a time.

    No lock is taken, so that a reader never holds up a writer, and none is needed: appenders
    commit in turn and draw their seqs in their turn, so what is seen later has a greater seq.

    Args:
        connection: a connection in autocommit mode, which nothing else may use meanwhile.
        seq: the last one that is known already.
        follow: whether to go on as the log grows, without end.
        poll: seconds after which it looks even if no batch was announced.
    """
    if follow:
        connection.execute(queries("feed")["listen"])
    while True:
        with connection.cursor(row_factory=class_row(LoggedFact)) as cursor:
            page = cursor.execute(
                queries("feed")["page_after"], {"seq": seq, "limit": PAGE}
            ).fetchall()
        if page:
            yield page
            seq = page[-1].seq
        elif follow:
            for _ in connection.notifies(timeout=poll, stop_after=1):
                pass
        else:
            return
