"""Where an import spends its CPU time, step by step, on both sides of the connection.

CPU time, so that other processes on the machine make no difference; one step after the other, so
that each is seen alone (an import does two of them at a time).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import psutil
import psycopg

from benchmark.bed import Bed
from benchmark.importing import BATCH_SIZE
from benchmark.report import say
from benchmark.workload import Workload
from positionstore.dimes.decoder import decode
from positionstore.model.facts import Received, Source
from positionstore.store.appender import Appender
from positionstore.store.database import Store, connect

_STEPS: Final = {
    "INSERT INTO events": "append to the log",
    "FROM pg_temp.incoming i": "look for conflicts",
    "INSERT INTO positions": "project",
}
_CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True)
class Cost:
    """A step, and the CPU time of each side in microseconds an event."""

    step: str
    client: float
    server: float

    def as_json(self) -> dict[str, str | float]:
        """Return it for the report."""
        return asdict(self)


@dataclass
class _Meter:
    """Adds up by step. ``server`` is the process behind the connection."""

    server: psutil.Process
    spent: dict[str, tuple[float, float]] = field(default_factory=dict)
    _outer: list[str] = field(default_factory=list)
    _mark: tuple[float, float] = (0.0, 0.0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what happens inside for a step; a step within another is taken out of it."""
        self._book()
        self._outer.append(name)
        try:
            yield
        finally:
            self._book()
            self._outer.pop()

    def _book(self) -> None:
        now = time.process_time(), self._server_time()
        if self._outer:
            before = self.spent.get(self._outer[-1], (0.0, 0.0))
            self.spent[self._outer[-1]] = (
                before[0] + now[0] - self._mark[0],
                before[1] + now[1] - self._mark[1],
            )
        self._mark = now

    def _server_time(self) -> float:
        times = self.server.cpu_times()
        return float(times.user + times.system)


def measure(bed: Bed, workload: Workload) -> list[Cost]:
    """Import the workload one step after the other."""
    with bed.fresh_store() as store:
        bed.settle()
        costs = cpu_costs(store, workload)
    say(f"CPU time of {workload.lines:,} lines measured")
    return costs


def cpu_costs(store: Store, workload: Workload, *, lines: int | None = None) -> list[Cost]:
    """Import a workload, or its first lines, into an empty store; return what each step cost."""
    now = datetime.now(UTC)
    with connect(store.url) as connection:
        meter = _Meter(psutil.Process(connection.info.backend_pid))
        connection.cursor_factory = _metered(meter)
        appender = Appender(connection)
        meter.spent.clear()
        events = 0
        with workload.path.open("rb") as file:
            source = islice(file, lines)
            while _batch(source, appender, meter, now):
                with meter.step("commit, and all else"):
                    events += appender.commit().appended
    return [
        Cost(name, *(1e6 * seconds / events for seconds in spent))
        for name, spent in meter.spent.items()
    ]


def _batch(source: Iterator[bytes], appender: Appender, meter: _Meter, now: datetime) -> bool:
    """Stage a batch; return whether there was anything to stage."""
    staged = 0
    while staged < BATCH_SIZE:
        with meter.step("read and decode"):
            lines = [line.rstrip(b"\n") for line in islice(source, _CHUNK)]
            received = [Received(decode(line), now, Source.IMPORT) for line in lines]
        if not received:
            break
        with meter.step("stage"):
            appender.stage(received)
        staged += len(received)
    return staged > 0


def _metered(meter: _Meter) -> type[psycopg.Cursor[Any]]:
    """Return a cursor that measures its statements, by the step they belong to."""

    class MeteredCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *rest: Any, **options: Any) -> "MeteredCursor":
            if isinstance(query, bytes):
                text = query.decode()
            else:
                text = query if isinstance(query, str) else query.as_string(None)
            for beginning, step in _STEPS.items():
                if beginning in text:
                    with meter.step(step):
                        return super().execute(query, *rest, **options)
            return super().execute(query, *rest, **options)

    return MeteredCursor
