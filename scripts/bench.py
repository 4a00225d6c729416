#!/usr/bin/env python3
"""How fast positionstore is, each figure as a ratio inside one run.

    scripts/bench.py            everything; about ten minutes and 5 GB of the temporary folder
    scripts/bench.py --quick    a small run: shows that it works, not how fast
    scripts/bench.py --profile  where an import spends its CPU time, in addition to the figures
    scripts/bench.py --check    exit 1 if a figure misses its floor
    scripts/bench.py --only durability --only turns --against b0076ff
                                an earlier build beside this one

docs/performance.md explains what is measured and how.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from benchmark import (
    comparing,
    folding,
    importing,
    indexing,
    memory,
    peers,
    profiling,
    starting,
    stream,
    turns,
)
from benchmark.bed import Bed
from benchmark.builds import Build
from benchmark.report import Figure, machine, print_report, say
from benchmark.scale import FULL, QUICK, Scale
from benchmark.workload import Workload

from positionstore.cli.interrupts import end_on_sigterm

FIGURES = (
    "import",
    "stream",
    "latency",
    "durability",
    "turns",
    "fold",
    "memory",
    "compare",
    "start",
    "indexes",
    "peers",
)


def measure(
    scale: Scale, wanted: Sequence[str], *, profile: bool, against: str | None = None
) -> dict[str, object]:
    """Measure what is wanted; return the report, fit for JSON."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        bed = stack.enter_context(Bed.made())
        facts = machine(bed)
        say(
            f"Making {scale.lines + scale.paced_lines:,} envelopes of {scale.positions:,} positions"
        )
        workload = Workload.made(bed.folder, scale)
        if {"import", "stream"} & set(wanted):
            imported = importing.measure(bed, workload, scale)
            if "import" in wanted:
                figures.append(imported.figure())
            if "stream" in wanted:
                figures.append(stream.measure_burst(bed, workload, scale, imported.rate))
        if "latency" in wanted:
            figures.append(stream.measure_latency(bed, workload, scale))
        earlier = None if against is None else Build.of_commit(against, bed.folder)
        others: Mapping[str, Callable[[], list[Figure]]] = {
            "durability": lambda: stream.measure_durability(bed, workload, scale, earlier),
            "turns": lambda: turns.measure(bed, workload, scale, earlier) if earlier else [],
            "fold": lambda: folding.measure(bed, workload, scale, earlier),
            "memory": lambda: [memory.measure(bed, scale)],
            "compare": lambda: comparing.measure(bed, scale),
            "start": lambda: starting.measure(bed, scale, earlier),
            "peers": lambda: peers.measure(bed, workload, scale),
        }
        for name, measured in others.items():
            if name in wanted:
                figures += measured()
        index_costs = indexing.measure(bed, workload, scale) if "indexes" in wanted else []
        costs = profiling.measure(bed, workload) if profile else []
        facts["load_average_at_end"] = machine(bed)["load_average"]
    return {
        "quick": scale is QUICK,
        "machine": facts,
        "workload": workload.described(),
        "figures": [figure.as_json() for figure in figures],
        "indexes": [cost.as_json() for cost in index_costs],
        "costs": [cost.as_json() for cost in costs],
    }


def main() -> int:
    """Measure, and print what came out."""
    options = _options()
    end_on_sigterm()
    try:
        report = measure(
            QUICK if options.quick else FULL,
            options.only or [name for name in FIGURES if name != "peers" or not options.quick],
            profile=options.profile,
            against=options.against,
        )
    except KeyboardInterrupt:
        say("Interrupted; what was started is stopped, what was written is deleted.")
        return 130
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_report(report)
    missed = [figure for figure in report["figures"] if not figure["met"]]  # type: ignore[attr-defined]
    return 1 if options.check and missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, for CI")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--check", action="store_true", help="exit 1 where a floor is missed")
    parser.add_argument("--profile", action="store_true", help="account for the CPU time too")
    parser.add_argument(
        "--only", action="append", choices=FIGURES, help="this figure; can be given several times"
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="measure the build of this commit beside this one"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
