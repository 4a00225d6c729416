"""The tests that the page of the reconciliation names are there."""

import re
from pathlib import Path

import pytest
from support.named_tests import missing

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
    assert missing(tests) == [], number
