"""The reconciler: a run against the time that its requests alone take, and as it grows.

The requests go to a local server that answers ten a second, which is the most that a run asks for
by default: each after a tenth of a second, so that whatever the run does not do meanwhile shows.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmark.bed import Bed
from benchmark.report import Figure, say
from benchmark.scale import Scale
from positionstore.dimes.rest import PAGE_LIMIT

SLOWER: Final = 1.15
CEILING: Final = 1.2

_SCRIPT: Final = Path(__file__).with_name("reconcile_generated.py")
_MIB: Final = 1024 * 1024
_SECONDS_EACH: Final = 0.1


def measure(bed: Bed, scale: Scale) -> list[Figure]:
    """Reconcile few positions and many: time, peak memory, and the requests of a periodic run."""
    few = _reconcile(bed, scale.few_compared)
    many = _reconcile(bed, scale.many_compared, paced=True)
    pages = many["periodic_seen"] / PAGE_LIMIT
    return [
        Figure(
            name="compare",
            title="A whole run, of the time that its requests alone take",
            value=many["run_seconds"] / many["walk_seconds"],
            below=SLOWER,
            said=(
                f"{many['run_seconds']:.1f} s for {many['seen']:,} positions, "
                f"{many['walk_seconds']:.1f} s of requests alone; where nothing waits, "
                f"{many['seen'] / many['unpaced_seconds']:,.0f} positions/s"
            ),
            measured={f"many_{name}": number for name, number in many.items()},
        ),
        Figure(
            name="compare_memory",
            title="Peak memory of a full run, many positions over few",
            value=many["peak_bytes"] / few["peak_bytes"],
            below=CEILING,
            said=(
                f"{many['peak_bytes'] / _MIB:.0f} MiB for {many['seen']:,} positions, "
                f"{few['peak_bytes'] / _MIB:.0f} MiB for {few['seen']:,}"
            ),
            measured={
                **{f"few_{name}": number for name, number in few.items()},
                **{f"many_{name}": number for name, number in many.items()},
            },
        ),
        Figure(
            name="compare_requests",
            title="Requests of a periodic run, for a page of active and newly ended positions",
            value=many["periodic_requests"] / pages,
            below=CEILING,
            said=(
                f"{many['periodic_requests']:,} requests, {many['periodic_seen']:,} positions of "
                f"{many['seen']:,}"
            ),
            measured={
                **{f"few_{name}": number for name, number in few.items()},
                **{f"many_{name}": number for name, number in many.items()},
            },
        ),
    ]


def _reconcile(bed: Bed, positions: int, *, paced: bool = False) -> dict[str, Any]:
    """Reconcile so many positions, a fifth of them active, in a process of its own."""
    active = positions // 5
    with bed.fresh_store() as store:
        done = subprocess.run(
            [
                *(sys.executable, str(_SCRIPT), str(active), str(positions - active)),
                *([str(_SECONDS_EACH)] if paced else []),
            ],
            env={
                **os.environ,
                "DATABASE_URL": store.url,
                "PYTHONPATH": str(_SCRIPT.parents[1]),
            },
            stdout=subprocess.PIPE,
            check=True,
        )
    said: dict[str, Any] = json.loads(done.stdout)
    if (said["seen"], said["repaired"]) != (positions, positions):
        raise AssertionError(f"not everything was reconciled: {said}")
    say(f"Run over {positions:,} positions: {said['peak_bytes'] / _MIB:.0f} MiB at most")
    return said
