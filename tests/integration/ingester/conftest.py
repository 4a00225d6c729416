"""What every test of the ingester needs."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep spools where the test ends with them."""
    path = tmp_path / "data"
    monkeypatch.setenv("POSITIONSTORE_DATA_DIR", str(path))
    return path
