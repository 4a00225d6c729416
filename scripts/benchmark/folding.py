"""Verification and rebuild against their limit: a scan of the log and a sort of what orders it.

No fold of a log that is not indexed by the order of facts can do with less. The yardstick sorts the
columns that the fold orders by, of every fact, and hands out nothing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Final

import psycopg

from benchmark.bed import Bed
from benchmark.builds import THIS, Build
from benchmark.importing import import_workload
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.workload import Workload
from positionstore.store import projection
from positionstore.store.database import Store
from positionstore.store.fold import Difference

FLOOR: Final = 0.1
OF_EARLIER: Final = 3.0

_WORKS: Final = ("verify", "rebuild")
_YARDSTICK: Final = """
    SELECT count(*) FROM (
        SELECT position_id, status, created_at, type, event_id, seq FROM events
        ORDER BY position_id, status, created_at, type, event_id OFFSET 0
    ) sorted
"""


def measure(bed: Bed, workload: Workload, scale: Scale, earlier: Build | None) -> list[Figure]:
    """Fold the same log in turns with the yardstick, and with another build if there is one."""
    with ExitStack() as stack:
        store = stack.enter_context(bed.fresh_store())
        import_workload(store, workload)
        ways: dict[str, Callable[[], float]] = {
            "yardstick": lambda: _timed(store, lambda it: it.execute(_YARDSTICK)),
            "verify": lambda: _timed(
                store, lambda it: _proved(projection.verify(it, another=store.connect))
            ),
            "rebuild": lambda: _timed(
                store, lambda it: _proved(projection.rebuild(it, another=store.connect))
            ),
        }
        if earlier is not None:
            theirs = stack.enter_context(bed.fresh_store(earlier))
            earlier.run(theirs.url, "import", str(workload.path))
            for work in _WORKS:
                ways[f"this {work}"] = _command(THIS, store, work)
                ways[f"earlier {work}"] = _command(earlier, theirs, work)
        best = _in_turns(bed, ways, scale.rounds)
    figures = [_of_limit(work, workload, best, scale) for work in _WORKS]
    if earlier is not None:
        figures += [_of_earlier(work, earlier, best, scale) for work in _WORKS]
    return figures


def _in_turns(
    bed: Bed, ways: Mapping[str, Callable[[], float]], rounds: int
) -> Mapping[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            bed.settle()
            seconds[name].append(way())
        said = ", ".join(f"{name} {each[-1]:.2f} s" for name, each in seconds.items())
        say(f"Fold, round {number}: {said}")
    return {name: min(each) for name, each in seconds.items()}


def _timed(store: Store, work: Callable[[psycopg.Connection], object]) -> float:
    with closing(store.connect()) as connection:
        began = time.perf_counter()
        work(connection)
        return time.perf_counter() - began


def _proved(differences: Sequence[Difference]) -> None:
    if differences:
        raise AssertionError(f"an import has left what differs: {differences[0]}")


def _command(build: Build, store: Store, work: str) -> Callable[[], float]:
    def run() -> float:
        began = time.perf_counter()
        build.run(store.url, work)
        return time.perf_counter() - began

    return run


def _of_limit(work: str, workload: Workload, best: Mapping[str, float], scale: Scale) -> Figure:
    limit, ours = best["yardstick"], best[work]
    return Figure(
        name=work,
        title=f"{work.capitalize()}, of the speed of a scan and sort of the log",
        value=limit / ours,
        at_least=FLOOR,
        said=(
            f"{workload.events / ours:,.0f} facts/s, {workload.positions / ours:,.0f} positions/s; "
            f"scan and sort {workload.events / limit:,.0f} facts/s; best of {scale.rounds}"
        ),
        measured={
            "facts": workload.events,
            "positions": workload.positions,
            f"{work}_seconds": ours,
            "scan_and_sort_seconds": limit,
            "rounds": scale.rounds,
        },
    )


def _of_earlier(work: str, earlier: Build, best: Mapping[str, float], scale: Scale) -> Figure:
    ours, theirs = best[f"this {work}"], best[f"earlier {work}"]
    return Figure(
        name=f"{work}_of_earlier",
        title=f"Command {work}, of the speed of that of {earlier.name}",
        value=theirs / ours,
        at_least=OF_EARLIER,
        said=f"{ours:.2f} s against {theirs:.2f} s, start included; best of {scale.rounds}",
        measured={"this_seconds": ours, "earlier_seconds": theirs, "rounds": scale.rounds},
    )
