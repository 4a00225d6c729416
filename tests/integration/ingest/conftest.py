"""What every test of the ingester needs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.outages import Scene, scene_of
from support.proxy import Proxy


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep spools where the test ends with them."""
    path = tmp_path / "data"
    monkeypatch.setenv("POSITIONSTORE_DATA_DIR", str(path))
    return path


@pytest.fixture
async def scene(store_url: str, proxy: Proxy, tmp_path: Path) -> AsyncIterator[Scene]:
    """A stage for outages of the database."""
    async with scene_of(store_url, proxy, tmp_path) as scene:
        yield scene
