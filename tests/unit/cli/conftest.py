"""The command line is tried in an environment without settings, in an empty folder."""

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from positionstore.cli import logs, masking


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    for variable in list(os.environ):
        if variable.upper().startswith(("DIMES_", "POSITIONSTORE_", "DATABASE_URL")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    # What is configured once a process is put back, for the tests that follow.
    for owner, name in (
        (logs.Details, "configured"),
        (logs.Details, "directory"),
        (logs.Details, "where"),
        (masking._Known, "forms"),
        (masking._Known, "pattern"),
        (threading, "excepthook"),
        (sys, "unraisablehook"),
        (warnings, "showwarning"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield tmp_path
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    for name in (*logs._NOISY, "py.warnings"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()
