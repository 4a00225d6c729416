"""What a line of the log looks like: structlog's processors, in order.

Apart from :mod:`positionstore.cli.logs`, since structlog and Rich take long to import.
"""

import logging
import os
import sys
from datetime import datetime
from typing import Any, Final

import structlog
from structlog import DropEvent
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from positionstore.cli import logs
from positionstore.cli.masking import masked
from positionstore.escaping import json_as_it_came, printable

__all__ = ("DropEvent", "configure", "formatter")

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
)


def configure(least: int) -> None:
    """Route structlog to the standard library's logging.

    Args:
        least: the lowest level that is logged.
    """
    structlog.configure(
        processors=[*_SHARED, _name_the_action, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def formatter(*, console: bool) -> logging.Formatter:
    """Return what makes a line of a record.

    Args:
        console: whether for people, else for machines: JSON.
    """
    return ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, _name_the_library],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            *(_for_people() if console else _for_machines()),
            _mask_the_line,
        ],
    )


def _name_the_action(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    key = "message" if "action" in event else "action"
    event[key] = event.pop("event")
    return event


def _name_the_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["message"] = event.pop("event")
    event["action"] = event.get("logger", "log")
    return event


def _for_machines() -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(),
        _in_order,
        structlog.processors.JSONRenderer(default=str),
        _make_plain,
    ]


def _for_people() -> list[Processor]:
    return [
        _put_traceback_aside,
        _make_readable,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            event_key="action",
            timestamp_key="at",
        ),
    ]


def _put_traceback_aside(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    if not event.get("exc_info"):
        event.pop("exc_info", None)
        return event
    full: Any = dict(event)
    for step in _for_machines():
        full = step(logger, name, full)
    details = logs.Details.write(str(full))
    if event["action"] == logs.UNEXPECTED:
        raise DropEvent  # the line that the user reads says it all
    error = event.pop("exc_info")
    if error is True:
        error = sys.exc_info()
    error = error[1] if isinstance(error, tuple) else error
    event["error"] = f"{type(error).__name__}: {error}"
    event["details"] = str(details)
    return event


def _make_readable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.pop("logger", None)
    for key, value in event.items():
        if not isinstance(value, bool | int | float | None):
            event[key] = printable(value if isinstance(value, str) else repr(value))
    at = datetime.fromisoformat(str(event["at"])).astimezone()
    event["at"] = f"{at:%H:%M:%S}"
    return event


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    first = {key: event.pop(key) for key in ("at", "level", "action") if key in event}
    return {**first, **event}


def _make_plain(_: WrappedLogger, __: str, line: Any) -> str:
    return json_as_it_came(str(line))


def _mask_the_line(_: WrappedLogger, __: str, line: Any) -> str:
    return masked(str(line))
