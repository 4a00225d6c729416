"""An environment without settings, in an empty folder."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)  # where it is imported
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take this test there, and return the folder."""
    for variable in list(os.environ):
        if variable.upper().startswith(("DIMES_", "POSITIONSTORE_", "DATABASE_URL")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
