"""The ingester and the import of an earlier build beside this one's; what counts is the median."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmark.bed import Bed
from benchmark.builds import THIS, Build
from benchmark.processes import Gateway, ingesting
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.stream import Watch, latencies, percentile
from benchmark.workload import Workload

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one turn of one build measured.

    Attributes:
        imported: events a second of the command that imports the whole file.
        rate: events a second of a burst, until all were committed.
        cpu: microseconds of CPU time of the ingester for an event of the burst.
        peak: the ingester's peak of resident memory in the burst, bytes.
        p99: milliseconds from emit to commit where events are sent evenly.
    """

    imported: float
    rate: float
    cpu: float
    peak: float
    p99: float


def measure(bed: Bed, workload: Workload, scale: Scale, earlier: Build) -> list[Figure]:
    """Import, send a burst and then evenly, to both builds, several times."""
    ours: list[_Turn] = []
    theirs: list[_Turn] = []
    for number in range(scale.turns):
        # The build that is first in one turn is second in the next.
        for build in (THIS, earlier) if number % 2 else (earlier, THIS):
            turn = _turn(bed, workload, scale, build)
            (ours if build is THIS else theirs).append(turn)
            say(
                f"Turn {number + 1}, {build.name}: import {turn.imported:,.0f} events/s; burst "
                f"{turn.rate:,.0f} events/s, {turn.cpu:.1f} us of CPU time an event, "
                f"{turn.peak / _MIB:.0f} MiB; p99 {turn.p99:.1f} ms"
            )

    def compared(
        name: str,
        title: str,
        value: Callable[[_Turn], float],
        said: str,
        *,
        at_least: float | None = None,
    ) -> Figure:
        mine, other = median(map(value, ours)), median(map(value, theirs))
        return Figure(
            name=name,
            title=f"{title}, of that of {earlier.name}",
            value=mine / other,
            at_least=at_least,
            below=1.0 if at_least is None else None,
            said=f"{said.format(mine)} against {said.format(other)}; median of {scale.turns}",
            measured={"this": mine, "earlier": other, "turns": scale.turns},
        )

    return [
        compared(
            "import_turns", "Import", lambda turn: turn.imported, "{:,.0f} events/s", at_least=1.7
        ),
        compared("burst_turns", "Burst", lambda turn: turn.rate, "{:,.0f} events/s", at_least=1.0),
        compared("latency_turns", "From emit to commit, p99", lambda turn: turn.p99, "{:.1f} ms"),
        compared("memory_turns", "Peak memory", lambda turn: turn.peak / _MIB, "{:.0f} MiB"),
        compared("cpu_turns", "CPU time an event", lambda turn: turn.cpu, "{:.1f} us"),
    ]


def _import(bed: Bed, workload: Workload, build: Build) -> float:
    with bed.fresh_store(build) as store:
        bed.settle()
        began = time.monotonic()
        build.run(store.url, "import", str(workload.path))
        return workload.events / (time.monotonic() - began)


def _turn(bed: Bed, workload: Workload, scale: Scale, build: Build) -> _Turn:
    imported = _import(bed, workload, build)
    with (
        bed.fresh_store(build) as store,
        Gateway.started() as gateway,
        Watch.over(store) as watch,
    ):
        gateway.do("load", path=str(workload.path), count=scale.burst_lines)
        gateway.hear("loaded")
        bed.settle()
        with ingesting(store, gateway, build=build) as ingester:
            before = ingester.cpu_seconds()
            began = time.monotonic()
            gateway.do("burst")
            seconds = watch.wait_for(workload.burst_events) - began
            cpu = ingester.cpu_seconds() - before
            peak = ingester.peak_bytes()
            gateway.do("load", path=str(workload.paced_path), count=scale.paced_lines)
            gateway.hear("loaded")
        with Watch.over(store) as paced, ingesting(store, gateway, build=build):
            found = latencies(gateway, paced, workload, scale)
    events = workload.burst_events
    rate, p99 = events / seconds, percentile(found, 0.99)
    return _Turn(imported, rate, cpu / events * 1e6, peak, p99)
