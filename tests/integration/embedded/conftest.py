import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.server_user import kill_all


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory of the test's own, whose server is gone afterwards."""
    # pytest's own folder may be too deep for the path of a socket.
    path = Path(tempfile.mkdtemp(prefix="positionstore-"))
    yield path
    kill_all(path)
    shutil.rmtree(path, ignore_errors=True)
