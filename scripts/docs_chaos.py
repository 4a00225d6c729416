"""The figures in docs/guarantees.md, from those of the last long chaos run in docs/chaos.json."""

import json
import sys
from typing import Any

import checkout

sys.path.insert(0, str(checkout.ROOT / "tests"))

from support.harness.plan import KINDS

PAGE = checkout.ROOT / "docs" / "guarantees.md"
RUN = checkout.ROOT / "docs" / "chaos.json"
BEGIN = "<!-- Made by scripts/docs.py from docs/chaos.json; run scripts/chaos.py --publish. -->\n"
LATER = "not yet: it came after this run"
END = "<!-- End of what is made. -->\n"


def guarantees_page() -> str:
    """Return the current page with the figures of the last run."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{_figures(json.loads(RUN.read_text(encoding='utf-8')))}\n{END}{after}"


def _figures(run: dict[str, Any]) -> str:
    known = {*run["faults"], *run["skipped"]}
    machine = run["machine"]
    tried = f"Commit `{run['commit']}`" if run["commit"] else "No commit is known"
    conditions = (
        f"{tried}{', with changes that are in none' if run['changed'] else ''}; "
        f"seed {run['seed']}, {run['seconds'] / 60:.0f} minutes of faults in {run['scenarios']} "
        f"scenarios, durability {' and '.join(f'`{each}`' for each in run['durability'])}; "
        f"{machine['system']}, {machine['processors']} processors, PostgreSQL "
        f"{machine['postgresql']}, Python {machine['python']}."
    )
    lines = [
        conditions,
        "",
        "| | |",
        "| --- | ---: |",
        *(f"| {name} | {value} |" for name, value in run["summary"].items()),
        "",
        "| fault | times |",
        "| --- | ---: |",
        *(f"| {kind} | {times} |" for kind, times in run["faults"].items()),
        *(f"| {kind} | not here: {why} |" for kind, why in run["skipped"].items()),
        *(f"| {kind} | {LATER} |" for kind in sorted(set(KINDS) - known)),
    ]
    return "\n".join([*lines, ""])
