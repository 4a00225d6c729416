"""The socket path: from the official server, through the ingester, until it is committed."""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from benchmark.bed import Bed
from benchmark.builds import THIS, Build
from benchmark.importing import import_workload
from benchmark.processes import Gateway, ingesting
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.workload import Workload
from positionstore.store.appender import CHANNEL
from positionstore.store.database import Store

BURST_FLOOR: Final = 0.6
DURABILITY_FLOOR: Final = 0.3
DURABILITY_GAIN: Final = 15.0
"""Against b0076ff, which synced the disk for each frame before it read the next."""
LATENCY_CEILING: Final = 100.0
"""Milliseconds, of the 99th percentile."""

_DEADLINE: Final = 300.0
_QUIET: Final = 0.25
"""Seconds; after so long without a commit it is worth asking whether all has come."""


class Watch:
    """Watches a log grow: what is committed is announced with its highest ``seq``.

    Attributes:
        base: the highest ``seq`` at the beginning.
    """

    def __init__(self, listening: psycopg.Connection, asking: psycopg.Connection) -> None:
        listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        self._listening = listening
        self._asking = asking
        self._seqs: list[int] = []
        self._moments: list[float] = []
        self.base = int(self._ask("SELECT coalesce(max(seq), 0) FROM events")[0][0])

    @classmethod
    @contextmanager
    def over(cls, store: Store) -> Iterator["Watch"]:
        """Watch a store."""
        with store.connect() as listening, store.connect() as asking:
            yield cls(listening, asking)

    @property
    def commits(self) -> int:
        """How many there were."""
        return len(self._seqs)

    def wait_for(self, events: int) -> float:
        """Wait until that many events have come; return the moment of the last commit."""
        deadline = time.monotonic() + _DEADLINE
        while time.monotonic() < deadline:
            before = self.commits
            for notice in self._listening.notifies(timeout=_QUIET):
                self._moments.append(time.monotonic())
                self._seqs.append(int(notice.payload))
            # Nothing but listening while there is something to hear: the moments have to be right.
            if self.commits > before or not self._seqs or self._seqs[-1] < self.base + events:
                continue
            if len(self.events()) >= events:
                return self._moments[-1]
        raise TimeoutError(f"the log has {len(self.events()):,} of {events:,} events")

    def events(self) -> list[tuple[str, float]]:
        """Return the ids of the events that have come, each with the moment of its commit."""
        rows = self._ask(
            "SELECT event_id, seq FROM events WHERE seq > %s AND seq <= %s ORDER BY seq",
            [self.base, self._seqs[-1] if self._seqs else 0],
        )
        return [(name, self._moments[bisect_left(self._seqs, seq)]) for name, seq in rows]

    def unknown(self, event_ids: Sequence[str]) -> int:
        """Return how many of the events are not in the log."""
        known = self._ask(
            "SELECT count(DISTINCT event_id) FROM events WHERE event_id = ANY (%s)",
            [list(event_ids)],
        )[0][0]
        return len(set(event_ids)) - int(known)

    def _ask(
        self, question: LiteralString, parameters: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        return self._asking.execute(question, parameters).fetchall()


def measure_burst(bed: Bed, workload: Workload, scale: Scale, import_rate: float) -> Figure:
    """Send everything at once, several times; compare the best with the import's rate."""
    seconds: list[float] = []
    for number in range(1, scale.rounds + 1):
        with (
            bed.fresh_store() as store,
            Gateway.started() as gateway,
            Watch.over(store) as watch,
        ):
            gateway.do("load", path=str(workload.path), count=scale.burst_lines)
            gateway.hear("loaded")
            bed.settle()
            with ingesting(store, gateway):
                began = time.monotonic()
                gateway.do("burst")
                seconds.append(watch.wait_for(workload.burst_events) - began)
            say(
                f"Burst, round {number}: {workload.burst_events / seconds[-1]:,.0f} events/s in "
                f"{watch.commits} transactions"
            )
    best = min(seconds)
    rate = workload.burst_events / best
    return Figure(
        name="stream",
        title="Burst over the socket, of the speed of import",
        value=rate / import_rate,
        at_least=BURST_FLOOR,
        said=(
            f"{scale.burst_lines:,} sent, {rate:,.0f} events/s; import {import_rate:,.0f}/s; "
            f"best of {scale.rounds}"
        ),
        measured={
            "events": workload.burst_events,
            "seconds": best,
            "events_per_second": rate,
            "import_events_per_second": import_rate,
            "rounds": scale.rounds,
        },
    )


def measure_latency(bed: Bed, workload: Workload, scale: Scale) -> Figure:
    """Send evenly, into a store that holds the workload already."""
    with bed.fresh_store() as store, Gateway.started() as gateway:
        import_workload(store, workload)
        gateway.do("load", path=str(workload.paced_path), count=scale.paced_lines)
        gateway.hear("loaded")
        bed.settle()
        say(f"Sending {scale.paced_lines:,} envelopes at {scale.rate} a second")
        with Watch.over(store) as watch, ingesting(store, gateway):
            found = latencies(gateway, watch, workload, scale)
    p50, p99 = percentile(found, 0.5), percentile(found, 0.99)
    say(f"From emit to commit: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return Figure(
        name="latency",
        title=f"From emit to commit at {scale.rate} events/s, p99",
        value=p99,
        unit=" ms",
        below=LATENCY_CEILING,
        said=f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {found[-1]:.1f} ms",
        measured={
            "events": len(found),
            "p50_ms": p50,
            "p99_ms": p99,
            "worst_ms": found[-1],
            "rate": scale.rate,
        },
    )


def latencies(gateway: Gateway, watch: Watch, workload: Workload, scale: Scale) -> list[float]:
    """Send evenly what the gateway has loaded; return the milliseconds to the commits, rising."""
    awaited = watch.unknown(_event_ids(workload.paced_path, scale.paced_lines))
    gateway.do("pace", rate=scale.rate)
    watch.wait_for(awaited)
    sent: dict[str, float] = {}
    for event_id, nanoseconds in gateway.hear("sent")["times"]:
        sent.setdefault(event_id, int(nanoseconds) / 1e9)
    return sorted((at - sent[name]) * 1000 for name, at in watch.events())


def measure_durability(
    bed: Bed, workload: Workload, scale: Scale, earlier: Build | None = None
) -> list[Figure]:
    """Send everything at once, with every event on the disk and without; in turns.

    Args:
        bed: where to measure.
        workload: what to send.
        scale: how much of it.
        earlier: a build to compare with, whose burst is shorter.
    """
    batch = spool = before = Rates(0.0, 0.0)
    for _ in range(scale.rounds):
        batch = batch.best(burst(bed, workload, scale.durable_lines, durability="batch"))
        spool = spool.best(burst(bed, workload, scale.durable_lines, durability="spool"))
        if earlier is not None:
            some = scale.earlier_lines
            before = before.best(burst(bed, workload, some, durability="spool", build=earlier))
    of = f"{scale.durable_lines:,} sent, {spool.committed:,.0f} events/s"
    measured = {
        "lines": scale.durable_lines,
        "events_per_second": spool.committed,
        "kept_events_per_second": spool.kept,
        "rounds": scale.rounds,
    }
    figures = [
        Figure(
            name="durability",
            title="Burst with every event on the disk, of one without",
            value=spool.committed / batch.committed,
            at_least=DURABILITY_FLOOR,
            said=f"{of} against {batch.committed:,.0f}; best of {scale.rounds}",
            measured={**measured, "batch_events_per_second": batch.committed},
        )
    ]
    if earlier is not None:
        sent = f"{scale.durable_lines:,} sent"
        figures += [
            Figure(
                name=name,
                title=title,
                value=ours / theirs,
                at_least=DURABILITY_GAIN,
                said=f"{sent}, {ours:,.0f} events/s against {theirs:,.0f}; best of {scale.rounds}",
                measured={**measured, f"earlier_{what}events_per_second": theirs},
            )
            for name, title, what, ours, theirs in (
                (
                    "durability_gain",
                    f"Burst with every event on the disk, of that of {earlier.name}",
                    "",
                    spool.committed,
                    before.committed,
                ),
                (
                    "durability_gain_kept",
                    "The same, until the ping behind it is answered",
                    "kept_",
                    spool.kept,
                    before.kept,
                ),
            )
        ]
    return figures


class Rates(NamedTuple):
    """Events a second.

    Attributes:
        kept: until a ping behind them was answered: with every event on the disk, they are there.
        committed: until they are committed.
    """

    kept: float
    committed: float

    def best(self, other: "Rates") -> "Rates":
        """Return the better of each."""
        return Rates(max(self.kept, other.kept), max(self.committed, other.committed))


def burst(
    bed: Bed, workload: Workload, lines: int, *, durability: str, build: Build = THIS
) -> Rates:
    """Return how fast a burst was; all of it came over one connection."""
    with (
        bed.fresh_store(build) as store,
        Gateway.started() as gateway,
        Watch.over(store) as watch,
    ):
        gateway.do("load", path=str(workload.path), count=lines)
        gateway.hear("loaded")
        bed.settle()
        awaited = watch.unknown(_event_ids(workload.path, lines))
        with ingesting(store, gateway, durability=durability, build=build):
            began = time.monotonic()
            gateway.do("burst")
            committed = awaited / (watch.wait_for(awaited) - began)
            kept = lines / float(gateway.hear("answered")["seconds"])
        with store.connect() as connection:
            connections = connection.execute("SELECT count(*) FROM stream_sessions").fetchall()
        if connections != [(1,)]:
            raise RuntimeError(f"the burst took {connections[0][0]} connections, not one")
    say(
        f"Burst, POSITIONSTORE_DURABILITY={durability}, {build.name}: {kept:,.0f} events/s until a "
        f"ping was answered, {committed:,.0f} until they were committed"
    )
    return Rates(kept, committed)


def _event_ids(path: Path, at_most: int | None = None) -> list[str]:
    with path.open("rb") as file:
        return [msgspec.json.decode(line, type=_Named).id for line in islice(file, at_most)]


class _Named(msgspec.Struct):
    id: str


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values is."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
