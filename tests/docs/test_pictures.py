"""The example draws its pictures, and they show something."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"equity.png", "exposure.png", "life.png"}


def shows_something(path: Path) -> bool:
    """Whether it is large enough to read, and some of it is drawn in colour."""
    from matplotlib import image  # noqa: PLC0415 - its oldest version warns as it is imported

    pixels = image.imread(path)[..., :3]
    coloured = np.ptp(pixels, axis=2) > 0.2
    return bool(min(pixels.shape[:2]) > 300 and 0.001 < coloured.mean() < 0.9)


@pytest.mark.slow
def test_the_example_draws_the_world_of_the_sandbox(store_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "pictures.py", tmp_path / "pictures"],
        env={**os.environ, "DATABASE_URL": store_url, "MPLCONFIGDIR": str(tmp_path / "mpl")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert done.returncode == 0, done
    drawn = set((tmp_path / "pictures").iterdir())
    assert {path.name for path in drawn} == NAMES
    assert all(map(shows_something, drawn))


def test_the_pictures_of_the_page_show_something() -> None:
    assert all(shows_something(ROOT / "docs" / "examples" / name) for name in NAMES)
