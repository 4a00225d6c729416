"""How connections ended whose sessions could not be recorded: kept beside what came over them.

A session vouches for the time up to its last packet. Where its process stops while the database is
away, that is written down in the spool, and recorded when all that the spool holds is written.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from positionstore.ingest.disk_time import moment_of, number_of
from positionstore.model.facts import Source

TABLE: Final = """
    CREATE TABLE IF NOT EXISTS endings (
        session_id INTEGER,
        gateway TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        last_packet_at INTEGER NOT NULL,
        reason TEXT NOT NULL
    )
"""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended.

    Attributes:
        session_id: its session's row; None where there is none yet.
        gateway: where it led.
        started_at: when the gateway let us in, UTC.
        last_packet_at: when the last packet of any kind came, UTC.
        reason: why there were no more.
    """

    session_id: int | None
    gateway: Source
    started_at: datetime
    last_packet_at: datetime
    reason: str


def write(connection: sqlite3.Connection, endings: Sequence[Ending]) -> None:
    """Keep endings in a spool's file, in place of those that were there.

    Raises:
        sqlite3.Error: they are not kept.
    """
    rows = [
        (
            each.session_id,
            each.gateway.value,
            number_of(each.started_at),
            number_of(each.last_packet_at),
            each.reason,
        )
        for each in endings
    ]
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM endings")
    connection.executemany("INSERT INTO endings VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def read(connection: sqlite3.Connection) -> list[Ending]:
    """Return what was kept, in the order in which the connections began.

    Raises:
        sqlite3.Error: the file cannot be read.
        ValueError: it holds what was never written.
    """
    return [
        Ending(session_id, Source(gateway), moment_of(began), moment_of(last), reason)
        for session_id, gateway, began, last, reason in connection.execute(
            "SELECT * FROM endings ORDER BY started_at"
        )
    ]
