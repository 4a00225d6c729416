"""No test leaves the next one a log that is configured, or about to be."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from positionstore.cli import logs, masking
from positionstore.log import before_first_line


@pytest.fixture(autouse=True)
def _the_log_is_put_back() -> Iterator[None]:
    with log_put_back():
        yield


@contextmanager
def log_put_back() -> Iterator[None]:
    """Put back what a command configures once a process: it would decide the next test's log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch:
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
            patch.setattr(owner, name, getattr(owner, name))
        yield
        logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    for name in (*logs._NOISY, "py.warnings"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    if (structlog := sys.modules.get("structlog")) is not None:
        structlog.reset_defaults()
    before_first_line(lambda: None)
