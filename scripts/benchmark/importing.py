"""The import against its yardstick: nothing but ``COPY`` of the same rows."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, LiteralString

from psycopg import sql

from benchmark.bed import Bed
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.workload import Workload
from positionstore.importer import import_files
from positionstore.settings import Settings
from positionstore.store.database import Store

BATCH_SIZE: Final[int] = Settings.model_fields["import_batch_size"].default
FLOOR: Final = 0.5

_CHUNK: Final = 1 << 18
_COLUMNS: Final = sql.SQL(
    "event_id, position_id, type, status, created_at, received_at, source, supersedes_before,"
    " envelope"
)
_FORMATS: Final[tuple[LiteralString, ...]] = ("binary", "text")


@dataclass(frozen=True, slots=True)
class Imported:
    """What was measured.

    Attributes:
        events: new events, in the import and in the yardstick.
        seconds: the best import of all rounds.
        copy_seconds: the best ``COPY`` of all rounds, by its format.
        rounds: how many there were.
    """

    events: int
    seconds: float
    copy_seconds: dict[str, float]
    rounds: int

    def figure(self) -> Figure:
        """Return the ratio of the two speeds."""
        form = min(self.copy_seconds, key=self.copy_seconds.__getitem__)
        copy_seconds = self.copy_seconds[form]
        return Figure(
            name="import",
            title="Import, of the speed of COPY",
            value=copy_seconds / self.seconds,
            at_least=FLOOR,
            said=(
                f"import {self.events / self.seconds:,.0f} events/s, "
                f"COPY ({form}) {self.events / copy_seconds:,.0f}/s, best of {self.rounds}"
            ),
            measured={
                "events": self.events,
                "import_seconds": self.seconds,
                **{f"copy_{name}_seconds": value for name, value in self.copy_seconds.items()},
                "rounds": self.rounds,
            },
        )


def measure(bed: Bed, workload: Workload, scale: Scale) -> Imported:
    """Import and ``COPY`` in turns, each into a fresh store."""
    prepared: dict[str, Path] = {}
    imports: list[float] = []
    copies: dict[str, list[float]] = {form: [] for form in _FORMATS}
    for number in range(scale.rounds + 1):
        with bed.fresh_store() as store:
            bed.settle()
            seconds = import_workload(store, workload)
            if number == 0:
                # The first one warms everything up, and gives the rows of the yardstick.
                prepared = {form: _dump(store, bed.folder, form) for form in _FORMATS}
                continue
            imports.append(seconds)
            say(f"Import, round {number}: {workload.events / seconds:,.0f} events/s")
        for form, path in prepared.items():
            with bed.fresh_store() as store:
                bed.settle()
                copies[form].append(_copy(store, path, form))
                say(f"COPY ({form}): {workload.events / copies[form][-1]:,.0f} events/s")
    best = {form: min(seconds) for form, seconds in copies.items()}
    return Imported(workload.events, min(imports), best, scale.rounds)


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


def _dump(store: Store, folder: Path, form: LiteralString) -> Path:
    """Write the rows of the log into a file, in a format of ``COPY``."""
    path = folder / f"rows.{form}"
    statement = sql.SQL("COPY (SELECT {} FROM events ORDER BY seq) TO STDOUT (FORMAT {})").format(
        _COLUMNS, sql.SQL(form)
    )
    with (
        path.open("wb") as file,
        store.connect() as connection,
        connection.cursor().copy(statement) as copy,
    ):
        file.writelines(copy)
    return path


def _copy(store: Store, path: Path, form: LiteralString) -> float:
    """``COPY`` the rows of a file, read beforehand; return the seconds until they are committed."""
    data = memoryview(path.read_bytes())
    chunks = [bytes(data[at : at + _CHUNK]) for at in range(0, len(data), _CHUNK)]
    with store.connect() as connection:
        connection.execute("CREATE TABLE yardstick (LIKE events INCLUDING ALL)")
        statement = sql.SQL("COPY yardstick ({}) FROM STDIN (FORMAT {})").format(
            _COLUMNS, sql.SQL(form)
        )
        began = time.perf_counter()
        with connection.cursor().copy(statement) as copy:
            for chunk in chunks:
                copy.write(chunk)
        return time.perf_counter() - began
