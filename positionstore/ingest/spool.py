"""A spool: what has arrived and is not in the database yet, on disk, in order.

It is an SQLite database in a folder of its own, beside the lock that its owner holds. Write-ahead
log, ``synchronous=FULL``: an append has been synced to the disk when it returns, at one sync
each. What was forgotten need not be: if that is lost, an event is drained twice, and the log takes
it once.

An event is kept as the envelope that came over the wire, and read again when it is drained; what is
no event is kept whole, with what is wrong with it.

Beside them stand the connections that ended and whose sessions could not be recorded. A session
vouches for the time up to its last packet, so it is recorded when all that the spool holds is
written.
"""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from positionstore.dimes.decoder import decode
from positionstore.errors import SpoolError
from positionstore.model.facts import Reason, Received, Rejected, Source
from positionstore.settings import Environment

FILE: Final = "inputs.sqlite3"
DAMAGED: Final = ".damaged"
"""How the name of a folder ends that was set aside."""

_FORMAT: Final = 1
_LARGEST_READ: Final = 32 * 1024 * 1024
_BEYOND_THE_ROW: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SCHEMA: Final = """
    CREATE TABLE about (format INTEGER NOT NULL, environment TEXT NOT NULL);
    CREATE TABLE inputs (
        number INTEGER PRIMARY KEY,
        received_at INTEGER NOT NULL,
        source TEXT NOT NULL,
        reason TEXT,
        detail BLOB,
        raw BLOB NOT NULL
    );
"""
_CLOSED_SESSIONS: Final = """
    CREATE TABLE IF NOT EXISTS endings (
        session_id INTEGER,
        gateway TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        last_packet_at INTEGER NOT NULL,
        reason TEXT NOT NULL
    )
"""
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class NoRoomError(SpoolError):
    """The spool takes no more: it is at its bound, or the disk will not have it."""


class DamagedSpoolError(SpoolError):
    """The spool's file cannot be read."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a spool holds.

    Attributes:
        events: how many inputs.
        bytes: how much of the disk they take.
        oldest: when the first of them was received, UTC; None where there is none.
    """

    events: int
    bytes: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class ClosedSession:
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


class Spool:
    """The spool of this process, or one that a dead process has left. Not for two threads at once.

    Args:
        folder: where it is.
        lock: the lock's descriptor, held.
        max_bytes: how large it may become.

    Attributes:
        environment: whose data it holds.

    Raises:
        DamagedSpoolError: it cannot be read.
        NoRoomError: it cannot be written.
    """

    def __init__(self, folder: Path, lock: int, *, max_bytes: int) -> None:
        self.folder = folder
        self._lock = lock
        self._max_bytes = max_bytes
        self._bytes = 0
        try:
            self._connection = sqlite3.connect(
                folder / FILE, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA journal_size_limit = 1000000")
            self._connection.execute(_CLOSED_SESSIONS)
            found, environment = self._connection.execute("SELECT * FROM about").fetchone()
            if found != _FORMAT:
                raise DamagedSpoolError(f"{folder} is of a later version's making.")
            self.environment = Environment(environment)
            self._bytes = _bytes_of(self._connection)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise translated(error, folder) from error

    @property
    def bytes(self) -> int:
        """How much of the disk it takes."""
        return self._bytes

    def append(self, first: int, batch: Sequence[Received]) -> None:
        """Keep inputs under the numbers from ``first`` on; they are on the disk afterwards.

        Raises:
            NoRoomError: nothing was kept.
            DamagedSpoolError: nothing was kept, and the file is broken.
        """
        rows = [_row(number, received) for number, received in enumerate(batch, start=first)]
        length = sum(len(row[-1]) + _BEYOND_THE_ROW for row in rows)
        if self._bytes + length > self._max_bytes:
            raise NoRoomError(f"The spool in {self.folder} is at its bound.")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            self._connection.execute("COMMIT")
            self._bytes = _bytes_of(self._connection)
        except sqlite3.Error as error:
            self._roll_back()
            raise translated(error, self.folder) from error

    def read(self, first: int, at_most: int) -> tuple[int, list[Received]]:
        """Return the next inputs from a number on, and the number of the first of them.

        Raises:
            DamagedSpoolError: the file is broken.
        """
        found: list[Received] = []
        number, length = first, 0
        try:
            rows = self._connection.execute(
                "SELECT * FROM inputs WHERE number >= ? ORDER BY number LIMIT ?", (first, at_most)
            )
            with closing(rows):
                for row in rows:
                    if not found:
                        number = row[0]
                    found.append(_received(row))
                    length += len(row[-1])
                    if length > _LARGEST_READ:
                        break
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise translated(error, self.folder) from error
        return number, found

    def forget(self, before: int) -> None:
        """Let go of what is in the database: all numbers before this one.

        Raises:
            SpoolError: it stays; nothing is lost by that.
        """
        try:
            # A sync would cost as much as an append, to spare a repetition that does no harm.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            try:
                self._connection.execute("DELETE FROM inputs WHERE number < ?", (before,))
            finally:
                self._connection.execute("PRAGMA synchronous = FULL")
            self._bytes = _bytes_of(self._connection)
        except sqlite3.Error as error:
            raise translated(error, self.folder) from error

    def save_closed_sessions(self, closed: Sequence[ClosedSession]) -> None:
        """Keep how connections ended, in place of what was kept before.

        It is recorded when all that is in here is written.

        Raises:
            SpoolError: it is not kept.
        """
        rows = [
            (
                each.session_id,
                each.gateway.value,
                _number_of(each.started_at),
                _number_of(each.last_packet_at),
                each.reason,
            )
            for each in closed
        ]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM endings")
            self._connection.executemany("INSERT INTO endings VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise translated(error, self.folder) from error

    def closed_sessions(self) -> list[ClosedSession]:
        """Return how connections ended whose sessions are still to be recorded, oldest first.

        Raises:
            DamagedSpoolError: the file is broken.
        """
        try:
            return [
                ClosedSession(session, Source(gateway), _moment_of(began), _moment_of(last), reason)
                for session, gateway, began, last, reason in self._connection.execute(
                    "SELECT * FROM endings ORDER BY started_at"
                )
            ]
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise translated(error, self.folder) from error

    def size(self) -> Size:
        """Return how much it holds.

        Raises:
            DamagedSpoolError: the file is broken.
        """
        try:
            return size_in(self._connection)
        except sqlite3.Error as error:
            raise translated(error, self.folder) from error

    def close(self) -> None:
        """Leave it to the next process."""
        with suppress(sqlite3.Error):
            self._connection.close()
        os.close(self._lock)

    def remove(self) -> None:
        """Delete it, because it is empty."""
        with suppress(sqlite3.Error):
            self._connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def set_aside(self) -> Path:
        """Move the damaged folder to where it is not taken for a spool; return where."""
        with suppress(sqlite3.Error):
            self._connection.close()
        return set_aside(self.folder, self._lock)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")


def create(file: Path, environment: Environment) -> None:
    """Make a spool's file; it is complete when this returns.

    Raises:
        sqlite3.Error: it cannot be made.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO about VALUES (?, ?)", (_FORMAT, environment))


def set_aside(folder: Path, lock: int) -> Path:
    """Rename a damaged spool's folder, and let go of its lock; return the new path."""
    aside = folder.with_name(folder.name + DAMAGED)
    with suppress(OSError):
        folder.rename(aside)
    os.close(lock)
    return aside


def _row(number: int, received: Received) -> tuple[int, int, str, str | None, bytes | None, bytes]:
    at = _number_of(received.received_at)
    what = received.what
    if isinstance(what, Rejected):
        detail = what.detail.encode(errors="surrogatepass")
        return number, at, received.source.value, what.reason.value, detail, what.raw
    return number, at, received.source.value, None, None, what.envelope


def _received(row: tuple[int, int, str, str | None, bytes | None, bytes]) -> Received:
    _, at, source, reason, detail, raw = row
    if reason is None:
        what = decode(raw)
    else:
        what = Rejected(raw, Reason(reason), (detail or b"").decode(errors="replace"))
    return Received(what, _moment_of(at), Source(source))


def _number_of(moment: datetime) -> int:
    """Return what stands in the file for a moment: whole microseconds since 1970, UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def _moment_of(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND


def size_in(connection: sqlite3.Connection) -> Size:
    """Return how much a spool's file holds.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    # They are numbered without holes: to count them would be to read them all. One statement, for
    # what is read first may be drained by then.
    first, last, at = connection.execute(
        "SELECT min(number), (SELECT max(number) FROM inputs), received_at FROM inputs"
    ).fetchone()
    if first is None:
        return Size(0, 0, None)
    return Size(last - first + 1, _bytes_of(connection), _moment_of(at))


def _bytes_of(connection: sqlite3.Connection) -> int:
    def ask(pragma: str) -> int:
        return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])

    return (ask("page_count") - ask("freelist_count")) * ask("page_size")


def translated(error: Exception, folder: Path) -> SpoolError:
    """Return an error of SQLite as one of ours."""
    if isinstance(error, SpoolError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or (code is not None and code & 0xFF in _DAMAGE):
        return DamagedSpoolError(f"The spool in {folder} is damaged: {error}.")
    if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
        return NoRoomError(f"The spool in {folder} cannot be written: {error}.")
    return DamagedSpoolError(f"The spool in {folder} is damaged: {error}.")
