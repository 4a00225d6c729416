"""Quarantine: where an input that cannot be understood is kept, whole, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg.rows import class_row

from positionstore.model.facts import Received, Rejected
from positionstore.store.queries import queries

_ENOUGH_BYTES: Final = 8 * 1024 * 1024
"""Of inputs that are read at a time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An input on its way into quarantine."""

    raw: bytes
    reason: str
    detail: str
    source: str
    received_at: datetime
    digest: bytes | None

    @classmethod
    def of(cls, received: Received, rejected: Rejected) -> "Entry":
        """Make an entry of what was received."""
        # What is said may quote what was received, and that may be no text to Postgres.
        detail = (
            rejected.detail.encode(errors="replace")
            .decode()
            .replace("\0", "\N{REPLACEMENT CHARACTER}")
        )
        return cls(
            rejected.raw,
            rejected.reason,
            detail,
            received.source,
            received.received_at,
            rejected.digest,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """An input in quarantine.

    Attributes:
        quarantine_id: the number to call it by.
        reason: what is wrong, for programs.
        detail: what is wrong, for people.
        source: the door it came through.
        received_at: when it first came, UTC.
        released_at: when it was understood after all, UTC; None while it waits.
        raw: the bytes as they came.
    """

    quarantine_id: int
    reason: str
    detail: str
    source: str
    received_at: datetime
    released_at: datetime | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list: as :class:`Kept`, with the size in bytes in place of the input."""

    quarantine_id: int
    reason: str
    detail: str
    source: str
    received_at: datetime
    length: int


def keep(connection: psycopg.Connection, entries: Sequence[Entry]) -> None:
    """Put inputs into quarantine, in the caller's transaction."""
    if not entries:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            queries("quarantine")["keep"],
            [
                {
                    "raw": entry.raw,
                    "reason": entry.reason,
                    "detail": entry.detail,
                    "source": entry.source,
                    "received_at": entry.received_at,
                    "digest": entry.digest,
                }
                for entry in entries
            ],
        )


def waiting(
    connection: psycopg.Connection, *, at_most: int = 100, released_too: bool = False
) -> list[Listed]:
    """Return what waits in quarantine, the oldest first."""
    with connection.cursor(row_factory=class_row(Listed)) as cursor:
        cursor.execute(
            queries("quarantine")["waiting"], {"at_most": at_most, "released_too": released_too}
        )
        return cursor.fetchall()


def show(connection: psycopg.Connection, quarantine_id: int) -> Kept | None:
    """Return one entry, whole; None where there is none of that number."""
    with connection.cursor(row_factory=class_row(Kept)) as cursor:
        cursor.execute(queries("quarantine")["show"], {"quarantine_id": quarantine_id})
        return cursor.fetchone()


def to_retry(
    connection: psycopg.Connection, *, after: int = 0, only: Sequence[int] | None = None
) -> list[Kept]:
    """Return the next entries that wait after ``after``: some hundreds, or a few long ones."""
    with connection.cursor(row_factory=class_row(Kept)) as cursor:
        cursor.execute(
            queries("quarantine")["to_retry"],
            {
                "after": after,
                "only": None if only is None else list(only),
                "enough_bytes": _ENOUGH_BYTES,
            },
        )
        return cursor.fetchall()


def is_seen_since(connection: psycopg.Connection, position_id: str, moment: datetime) -> bool:
    """Whether a reconciliation has reported a position after a moment (UTC)."""
    found = connection.execute(
        queries("quarantine")["is_seen_since"], {"position_id": position_id, "moment": moment}
    ).fetchone()
    return found is not None


def release(connection: psycopg.Connection, quarantine_ids: Sequence[int]) -> None:
    """Mark entries as understood after all."""
    connection.execute(queries("quarantine")["release"], {"ids": list(quarantine_ids)})


def count_waiting(connection: psycopg.Connection) -> dict[str, int]:
    """Return how many wait, by reason."""
    return dict(connection.execute(queries("quarantine")["count_waiting"]).fetchall())
