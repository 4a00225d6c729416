"""The import against its yardstick: nothing but psycopg's ``COPY`` of the same rows.

The yardstick has its rows in memory, as Python's values, and hands them to ``Copy.write_row`` one
by one, as psycopg's documentation shows it. Two barer ones are told beside: the same in binary
format, and the bytes of that format ready made, as no program has them that has not copied the
same rows before.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from benchmark.bed import Bed
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.workload import Workload
from positionstore.importer.files import import_files
from positionstore.settings import Settings
from positionstore.store.database import Store

BATCH_SIZE: Final[int] = Settings().import_batch_size
FLOOR: Final = 0.5

_CHUNK: Final = 1 << 18
_TYPES: Final = {
    "event_id": "text",
    "position_id": "text",
    "type": "text",
    "status": "text",
    "created_at": "timestamptz",
    "received_at": "timestamptz",
    "source": "text",
    "supersedes_before": "timestamptz",
    "envelope": "json",
}
_COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, _TYPES))
_COPY: Final = sql.SQL("COPY yardstick ({}) FROM STDIN").format(_COLUMNS)
_COPY_BINARY: Final = sql.SQL("{} (FORMAT binary)").format(_COPY)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was measured.

    Attributes:
        events: new events, in the import and in the yardsticks.
        seconds: the best import of all rounds.
        copy_seconds: the best ``COPY`` of all rounds, of the yardstick.
        binary_seconds: the same in binary format.
        ready_made_seconds: the same of bytes that were ready made.
        rounds: how many there were.
    """

    events: int
    seconds: float
    copy_seconds: float
    binary_seconds: float
    ready_made_seconds: float
    rounds: int

    @property
    def rate(self) -> float:
        """New events a second of the best import."""
        return self.events / self.seconds

    def figure(self) -> Figure:
        """Return the ratio of the two speeds."""
        ratios = {
            "of_binary": self.binary_seconds / self.seconds,
            "of_ready_made": self.ready_made_seconds / self.seconds,
        }
        return Figure(
            name="import",
            title="Import, of the speed of COPY",
            value=self.copy_seconds / self.seconds,
            at_least=FLOOR,
            said=(
                f"import {self.rate:,.0f} events/s, COPY {self.events / self.copy_seconds:,.0f}/s; "
                f"{ratios['of_binary']:.2f} of COPY in binary, "
                f"{self.events / self.binary_seconds:,.0f}/s, {ratios['of_ready_made']:.2f} of its "
                f"bytes ready made, {self.events / self.ready_made_seconds:,.0f}/s; "
                f"best of {self.rounds}"
            ),
            measured={
                "events": self.events,
                "import_seconds": self.seconds,
                "copy_seconds": self.copy_seconds,
                "binary_seconds": self.binary_seconds,
                "ready_made_seconds": self.ready_made_seconds,
                "rounds": self.rounds,
                **ratios,
            },
        )


def measure(bed: Bed, workload: Workload, scale: Scale) -> Imported:
    """Import and ``COPY`` in turns, each into a fresh store."""
    ready_made = bed.folder / "rows.binary"
    rows: list[tuple[Any, ...]] = []
    ways: Mapping[str, Callable[[psycopg.Cursor], None]] = {
        "copy": lambda cursor: _write_rows(cursor, rows, binary=False),
        "binary": lambda cursor: _write_rows(cursor, rows, binary=True),
        "ready_made": lambda cursor: _write_ready_made(cursor, ready_made),
    }
    imports: list[float] = []
    copies: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(scale.rounds + 1):
        with bed.fresh_store() as store:
            bed.settle()
            seconds = import_workload(store, workload)
            if number == 0:
                # The first one warms everything up, and gives the rows of the yardsticks.
                rows = _rows(store)
                _dump(store, ready_made)
                continue
            imports.append(seconds)
        for way, write in ways.items():
            with bed.fresh_store() as store:
                bed.settle()
                copies[way].append(_copy(store, write))
        say(
            f"Round {number}: import {workload.events / imports[-1]:,.0f} events/s, "
            f"COPY {workload.events / copies['copy'][-1]:,.0f}/s"
        )
    ready_made.unlink()
    return Imported(
        events=workload.events,
        seconds=min(imports),
        copy_seconds=min(copies["copy"]),
        binary_seconds=min(copies["binary"]),
        ready_made_seconds=min(copies["ready_made"]),
        rounds=scale.rounds,
    )


def import_workload(store: Store, workload: Workload) -> float:
    """Import the whole workload; return the seconds it took."""
    began = time.perf_counter()
    result = import_files(
        [str(workload.path)], store.connect, now=datetime.now(UTC), batch_size=BATCH_SIZE
    )
    seconds = time.perf_counter() - began
    if (result.read, result.appended) != (workload.lines, workload.events):
        raise AssertionError(f"not everything was imported: {result}")
    return seconds


def _rows(store: Store) -> list[tuple[Any, ...]]:
    """Return the rows of the log as Python's values, the envelope as its text."""
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text" if kind == "json" else "{}").format(sql.Identifier(name))
        for name, kind in _TYPES.items()
    )
    with store.connect() as connection:
        return connection.execute(
            sql.SQL("SELECT {} FROM events ORDER BY seq").format(columns)
        ).fetchall()


def _dump(store: Store, path: Path) -> None:
    """Write the rows of the log into a file, as ``COPY`` takes them in binary format."""
    statement = sql.SQL("COPY (SELECT {} FROM events ORDER BY seq) TO STDOUT (FORMAT binary)")
    with (
        path.open("wb") as file,
        store.connect() as connection,
        connection.cursor().copy(statement.format(_COLUMNS)) as copy,
    ):
        file.writelines(copy)


def _copy(store: Store, write: Callable[[psycopg.Cursor], None]) -> float:
    """``COPY`` the rows, all at once; return the seconds until they are committed."""
    with store.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE yardstick (LIKE events INCLUDING ALL)")
        began = time.perf_counter()
        write(cursor)
        return time.perf_counter() - began


def _write_rows(cursor: psycopg.Cursor, rows: list[tuple[Any, ...]], *, binary: bool) -> None:
    with cursor.copy(_COPY_BINARY if binary else _COPY) as copy:
        if binary:
            copy.set_types(list(_TYPES.values()))
        for row in rows:
            copy.write_row(row)


def _write_ready_made(cursor: psycopg.Cursor, path: Path) -> None:
    with path.open("rb") as file, cursor.copy(_COPY_BINARY) as copy:
        while chunk := file.read(_CHUNK):
            copy.write(chunk)
