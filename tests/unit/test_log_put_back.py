"""A test that configures the log leaves it to the next one as it was."""

import logging
import sys
import threading

import pytest
import structlog
from support.log_setup import log_put_back

from positionstore.cli.logs import Details, configure_logging, log_unexpected


def test_each_test_has_a_log_that_nothing_configured(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:], threading.excepthook, sys.unraisablehook
    for _ in range(2):
        with log_put_back():
            assert not Details.configured
            configure_logging(form="json")
            log_unexpected(ValueError("a wheel came off"))
            assert "a wheel came off" in capsys.readouterr().err

    assert not Details.configured
    assert not structlog.is_configured()
    assert (logging.getLogger().handlers, threading.excepthook, sys.unraisablehook) == before
