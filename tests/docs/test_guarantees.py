"""Each guarantee names tests that are there, and the figures are those of the last long run."""

import json
import re
from pathlib import Path

import pytest
from docs_chaos import LATER
from support.harness.plan import KINDS
from support.named_tests import missing

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
RUN = json.loads((ROOT / "docs" / "chaos.json").read_text(encoding="utf-8"))
PROMISES = re.findall(r"^\| (\d+) \| .+? \| .+? \| (.+?) \|$", PAGE, re.MULTILINE)


def test_the_promises_are_numbered() -> None:
    assert [int(number) for number, _ in PROMISES] == list(range(1, len(PROMISES) + 1))
    assert len(PROMISES) > 10


@pytest.mark.parametrize(("number", "tests"), PROMISES)
def test_every_promise_names_tests_that_exist(number: str, tests: str) -> None:
    assert missing(tests) == [], number


def test_the_figures_are_those_of_the_last_long_run() -> None:
    for name, value in RUN["summary"].items():
        assert f"\n| {name} | {value} |\n" in PAGE
    for kind, times in RUN["faults"].items():
        assert f"\n| {kind} | {times} |\n" in PAGE


def test_they_name_the_commit_that_was_tried_and_whether_it_was_that_alone() -> None:
    assert re.fullmatch("[0-9a-f]{40}", RUN["commit"])
    (told,) = re.findall(
        rf"^Commit `{RUN['commit']}`(, with changes that are in none)?;", PAGE, re.MULTILINE
    )
    assert bool(told) == RUN["changed"]


def test_every_kind_of_fault_was_injected_or_is_said_to_be_left_out() -> None:
    known = {*RUN["faults"], *RUN["skipped"]}
    assert known <= set(KINDS)
    for kind in set(KINDS) - known:
        assert f"\n| {kind} | {LATER} |\n" in PAGE


def test_nothing_was_lost_twice_or_wrong() -> None:
    assert {name: RUN[name] for name in ("lost", "duplicated", "altered", "wrong")} == {
        "lost": 0,
        "duplicated": 0,
        "altered": 0,
        "wrong": 0,
    }
    assert RUN["complaints"] == []
