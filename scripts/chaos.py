#!/usr/bin/env python3
"""Chaos: real processes, real faults, and the proof after each scenario that nothing is lost.

    scripts/chaos.py                        some minutes, with a random seed
    scripts/chaos.py --minutes 20 --seed 7  as long as you like; a seed gives the same faults
    scripts/chaos.py --json                 the figures as JSON, on standard output
    scripts/chaos.py --publish              the figures into docs/chaos.json, for docs/guarantees.md

Exit 0 if everything was correct, 1 if something was lost, duplicated, wrong or not repaired.
docs/guarantees.md explains the promises and this suite.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from pathlib import Path

import checkout

checkout.enter()
sys.path.insert(0, str(checkout.ROOT / "tests"))

from support.harness.figures import Figures  # noqa: E402 - found only now
from support.harness.scenario import run  # noqa: E402 - the same

SCENARIO = 40.0
"""Seconds for which faults are injected in one scenario."""

PUBLISHED = checkout.ROOT / "docs" / "chaos.json"


def main() -> int:
    """Run scenarios for as long as is wanted, and say what came out."""
    options = _options()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    scenarios = max(1, round(options.minutes * 60 / SCENARIO))
    folder = options.folder or Path(tempfile.mkdtemp(prefix="positionstore-chaos-"))
    _say(f"seed {seed}, {scenarios} scenarios; every log is in {folder}")
    commit, changed = checkout.commit()  # now: it may be another when the run has ended
    try:
        figures = asyncio.run(_run(folder, seed, scenarios, options.rate))
    except asyncio.CancelledError:
        _say(f"Ended by a signal; the logs are in {folder}")
        return 128 + signal.SIGTERM
    figures.commit, figures.changed = commit, changed
    text = json.dumps(figures.as_dict(), indent=2)
    if options.publish:
        PUBLISHED.write_text(f"{text}\n", encoding="utf-8")
        _say("docs/chaos.json is written; scripts/docs.py makes docs/guarantees.md of it.")
    print(text if options.json else _told(figures))
    return 0 if figures.well else 1


async def _run(folder: Path, seed: int, scenarios: int, rate: float) -> Figures:
    work = asyncio.ensure_future(
        run(folder, seed=seed, scenarios=scenarios, seconds=SCENARIO, say=_say, rate=rate)
    )
    # Its processes and mounts end with it, as they do at SIGINT.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    return await work


def _told(figures: Figures) -> str:
    lines = [f"{name:>32}  {value}" for name, value in figures.summary()]
    return "\n".join([*lines, *figures.complaints])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="for how long faults come")
    parser.add_argument("--seed", type=int, help="of the world and the faults; else by chance")
    parser.add_argument("--rate", type=float, default=60.0, help="events a second")
    parser.add_argument("--folder", type=Path, help="an empty one, for the logs of all processes")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--publish", action="store_true", help="write them into docs/chaos.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
