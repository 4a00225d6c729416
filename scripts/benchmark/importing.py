"""The import against its yardstick: nothing but ``COPY`` of the same rows.

The yardstick has its rows ready in PostgreSQL's binary format, which it takes in 10 to 20 % faster
than text.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from psycopg import sql

from benchmark.bed import Bed
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.workload import Workload
from positionstore.importer.files import import_files
from positionstore.settings import Settings
from positionstore.store.database import Store

BATCH_SIZE: Final[int] = Settings.model_fields["import_batch_size"].default
FLOOR: Final = 0.5

_CHUNK: Final = 1 << 18
_COLUMNS: Final = sql.SQL(
    "event_id, position_id, type, status, created_at, received_at, source, supersedes_before,"
    " envelope"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was measured.

    Attributes:
        events: new events, in the import and in the yardstick.
        seconds: the best import of all rounds.
        copy_seconds: the best ``COPY`` of all rounds.
        rounds: how many there were.
    """

    events: int
    seconds: float
    copy_seconds: float
    rounds: int

    @property
    def rate(self) -> float:
        """New events a second of the best import."""
        return self.events / self.seconds

    def figure(self) -> Figure:
        """Return the ratio of the two speeds."""
        return Figure(
            name="import",
            title="Import, of the speed of COPY",
            value=self.copy_seconds / self.seconds,
            at_least=FLOOR,
            said=(
                f"import {self.rate:,.0f} events/s, COPY {self.events / self.copy_seconds:,.0f}/s, "
                f"best of {self.rounds}"
            ),
            measured={
                "events": self.events,
                "import_seconds": self.seconds,
                "copy_seconds": self.copy_seconds,
                "rounds": self.rounds,
            },
        )


def measure(bed: Bed, workload: Workload, scale: Scale) -> Imported:
    """Import and ``COPY`` in turns, each into a fresh store."""
    rows = bed.folder / "rows.binary"
    imports: list[float] = []
    copies: list[float] = []
    for number in range(scale.rounds + 1):
        with bed.fresh_store() as store:
            bed.settle()
            seconds = import_workload(store, workload)
            if number == 0:
                # The first one warms everything up, and gives the rows of the yardstick.
                _dump(store, rows)
                continue
            imports.append(seconds)
        with bed.fresh_store() as store:
            bed.settle()
            copies.append(_copy(store, rows))
        say(
            f"Round {number}: import {workload.events / imports[-1]:,.0f} events/s, "
            f"COPY {workload.events / copies[-1]:,.0f}/s"
        )
    rows.unlink()
    return Imported(workload.events, min(imports), min(copies), scale.rounds)


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


def _dump(store: Store, path: Path) -> None:
    """Write the rows of the log into a file, as ``COPY`` takes them."""
    statement = sql.SQL("COPY (SELECT {} FROM events ORDER BY seq) TO STDOUT (FORMAT binary)")
    with (
        path.open("wb") as file,
        store.connect() as connection,
        connection.cursor().copy(statement.format(_COLUMNS)) as copy,
    ):
        file.writelines(copy)


def _copy(store: Store, path: Path) -> float:
    """``COPY`` the rows of a file, all at once; return the seconds until they are committed."""
    statement = sql.SQL("COPY yardstick ({}) FROM STDIN (FORMAT binary)").format(_COLUMNS)
    with store.connect() as connection, path.open("rb") as file:
        connection.execute("CREATE TABLE yardstick (LIKE events INCLUDING ALL)")
        began = time.perf_counter()
        with connection.cursor().copy(statement) as copy:
            while chunk := file.read(_CHUNK):
                copy.write(chunk)
        return time.perf_counter() - began
