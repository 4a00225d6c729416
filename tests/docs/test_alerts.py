"""The rules of docs/alerts.yml fire when they should, and name what there is."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from support.shown import needs_promtool

from positionstore.web.catalogue import BY_NAME

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RULES = DOCS / "alerts.yml"
TEXT = RULES.read_text(encoding="utf-8")
TESTS = Path(__file__).with_name("alerts.test.yml").read_text(encoding="utf-8")
DASHBOARD = (DOCS / "grafana-dashboard.json").read_text(encoding="utf-8")
NAMES = re.findall(r"- alert: (\w+)", TEXT)


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_has_nothing_against_the_rules() -> None:
    promtool("check", "rules", "--lint-fatal", str(RULES))


@needs_promtool
@pytest.mark.slow
def test_each_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    tests = TESTS.replace("[alerts.yml]", json.dumps([str(RULES)]))
    (tmp_path / "tests.yml").write_text(tests, encoding="utf-8")
    promtool("test", "rules", str(tmp_path / "tests.yml"))


@pytest.mark.parametrize("name", NAMES)
def test_each_is_tested_to_fire_and_to_wait(name: str) -> None:
    assert f"alertname: {name}, exp_alerts: []" in TESTS
    assert re.search(rf"alertname: {name}\n        exp_alerts:\n", TESTS)


def rule(name: str) -> str:
    return TEXT.partition(f"- alert: {name}\n")[2].partition("- alert: ")[0]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_all_that_an_operator_wants(name: str) -> None:
    text = rule(name)
    assert re.search(r"severity: (critical|warning)\n", text)
    for key in ("for", "summary", "description"):
        assert re.search(rf"\b{key}: ", text), key
    page, _, anchor = re.findall(r"runbook_url: (\S+)", text)[0].partition("#")
    told = (DOCS / page).read_text(encoding="utf-8")
    assert anchor in {slug(heading) for heading in re.findall(r"(?m)^#+ (.*)$", told)}
    assert f"`{name}`" in told


def slug(heading: str) -> str:
    """The anchor that a heading has."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("text", [TEXT, DASHBOARD], ids=["alerts", "dashboard"])
def test_every_metric_is_in_the_catalogue(text: str) -> None:
    named = set(re.findall(r"\bpositionstore_[a-z_]+", text)) - {"positionstore_reader"}
    there = {metric.full_name for metric in BY_NAME.values()}
    histograms = {m.full_name for m in BY_NAME.values() if m.kind == "histogram"}
    suffixed = {f"{name}_{end}" for name in histograms for end in ("bucket", "sum", "count")}
    assert named
    assert named <= there | suffixed
