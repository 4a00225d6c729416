"""The tests that the page of the reconciliation names are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reconciliation.md").read_text(encoding="utf-8")
INVARIANTS = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def test_every_scenario_has_a_behaviour() -> None:
    table = PAGE.partition("| scenario | behaviour |\n| --- | --- |\n")[2].partition("\n\n")[0]
    rows = [row.strip("|").split(" | ") for row in table.splitlines()]

    assert len(rows) > 20
    assert [row for row in rows if len(row) != 2 or not all(cell.strip() for cell in row)] == []
    assert len({scenario for scenario, _ in rows}) == len(rows)


def test_the_invariants_are_numbered() -> None:
    assert [int(number) for number, _, _ in INVARIANTS] == list(range(1, len(INVARIANTS) + 1))
    assert len(INVARIANTS) > 10


@pytest.mark.parametrize(("number", "tests"), [(number, tests) for number, _, tests in INVARIANTS])
def test_every_invariant_names_tests_that_exist(number: str, tests: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)

    assert named, f"invariant {number} names no test"
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []
