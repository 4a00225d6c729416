"""The tests that SECURITY.md names for what it claims are there."""

import re
from pathlib import Path

import pytest
from support.named_tests import missing

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
CLAIMS = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def test_the_claims_are_numbered() -> None:
    assert [int(number) for number, _, _ in CLAIMS] == list(range(1, len(CLAIMS) + 1))
    assert len(CLAIMS) > 15


@pytest.mark.parametrize(("number", "tests"), [(number, tests) for number, _, tests in CLAIMS])
def test_every_claim_names_tests_that_exist(number: str, tests: str) -> None:
    assert missing(tests) == [], number
