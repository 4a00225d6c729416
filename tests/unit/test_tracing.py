"""What is said of a collector that does not answer."""

import logging

from positionstore.tracing import Seldom


def test_the_same_is_said_once_an_hour() -> None:
    now = 0.0
    seldom = Seldom(lambda: now)

    def is_said(template: str, *values: object) -> bool:
        record = logging.LogRecord("exporter", logging.WARNING, "", 0, template, values, None)
        return seldom.filter(record)

    assert is_said("retrying in %ss", 1)
    assert is_said("Failed to export")
    now = 3_599.0
    assert not is_said("retrying in %ss", 2)
    now = 3_601.0
    assert is_said("retrying in %ss", 1)
