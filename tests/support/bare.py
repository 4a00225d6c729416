"""An environment without settings, in an empty folder."""

import os
from pathlib import Path

import pytest


def bare_environment() -> dict[str, str]:
    """Return this process's environment without settings of ours."""
    ours = ("DIMES_", "POSITIONSTORE_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}


@pytest.fixture(autouse=True)  # where it is imported
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take this test there, and return the folder."""
    for variable in os.environ.keys() - bare_environment().keys():
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
