"""A shortened run of the chaos suite; ``scripts/chaos.py`` does long ones."""

from pathlib import Path

import pytest
from support.harness.scenario import run

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)  # a minute; the proofs have patience with a busy machine
async def test_nothing_is_lost_twice_wrong_shown_or_left_behind(tmp_path: Path) -> None:
    figures = await run(tmp_path, seed=1, scenarios=2, seconds=8.0)

    assert figures.well, figures
    assert figures.delivered > 0
    assert figures.compared > 0
    assert figures.looks > 0
    assert figures.searched > 0
    assert sum(figures.faults.values()) > 10
