"""The log: one line per event on standard error, as text on a terminal and JSON otherwise.

Every line has ``at``, ``level``, ``logger`` and ``action``, a stable name for what happened; the
rest depends on the action. Lines of libraries have the library's logger as their action, and a
``message``. Secrets are masked in the finished line.

A traceback is part of a JSON line. It is not printed on a terminal: it goes, as a JSON line, to
``log/positionstore.log`` in the data directory, and the terminal's line refers to it.
"""

import logging
import os
import sys
import tempfile
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from positionstore.cli.masking import masked
from positionstore.escaping import json_as_it_came, printable
from positionstore.settings import default_data_dir

_LARGEST: Final = 5_000_000  # bytes; then the file starts over
_UNEXPECTED: Final = "unexpected_error"
_NOISY: Final = ("aiohttp", "asyncio", "engineio", "httpcore", "httpx", "socketio", "alembic")


class _Details:
    """The file for what should not be printed on a terminal."""

    configured: bool = False
    directory: Path | None = None
    where: str = "the log"

    @classmethod
    def write(cls, line: str) -> Path:
        """Append a line, secrets masked, and return where it is."""
        path = cls._place()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{masked(line)}\n".encode(errors="backslashreplace"))
        finally:
            os.close(descriptor)
        cls.where = str(path)
        return path

    @classmethod
    def _place(cls) -> Path:
        if cls.directory is not None:
            path = cls.directory / "positionstore.log"
            try:
                cls.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if path.exists() and path.stat().st_size > _LARGEST:
                    path.replace(path.with_suffix(".log.1"))
                path.touch(mode=0o600)
            except OSError:
                pass  # a data directory that cannot be written has a stand-in
            else:
                return path
        descriptor, name = tempfile.mkstemp(prefix="positionstore-", suffix=".log")
        os.close(descriptor)
        return Path(name)


class _StandardError(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at the moment: a progress bar takes its place."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except (OSError, structlog.DropEvent):  # no reader, or a line that is to be dropped
            return
        except Exception:  # noqa: BLE001 - a line that cannot be written must not stop the work
            self.handleError(record)


def configure_logging(
    *,
    level: str = "info",
    form: Literal["auto", "console", "json"] = "auto",
    data_dir: Path | None = None,
) -> None:
    """Route structlog and the standard library's logging to standard error.

    Args:
        level: the lowest level to print; libraries log from ``warning`` on, and from ``info`` on
            at ``debug``.
        form: ``console``, ``json``, or by whether standard error is a terminal.
        data_dir: the directory for the file of tracebacks.
    """
    _Details.configured = True
    _Details.directory = None if data_dir is None else data_dir / "log"
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    least = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*shared, _name_the_action, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _StandardError()
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_the_library],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                *(_for_people() if console else _for_machines()),
                _mask_the_line,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(least)
    for name in _NOISY:
        logging.getLogger(name).setLevel(least if level == "debug" else max(least, logging.WARNING))
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(least if level == "debug" else logging.ERROR)
    threading.excepthook = _log_of_thread
    sys.unraisablehook = _log_unraisable


def log_unexpected(error: BaseException) -> str:
    """Log an unexpected error, with its traceback.

    Returns:
        Where the traceback is, in words.
    """
    if not _Details.configured:
        configure_logging(data_dir=default_data_dir())
    _Details.where = "the log"
    structlog.get_logger(__name__).error(_UNEXPECTED, exc_info=error)
    return _Details.where


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
    details = _Details.write(str(full))
    if event["action"] == _UNEXPECTED:
        raise structlog.DropEvent  # the line that the user reads says it all
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


def _log_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is None or issubclass(arguments.exc_type, SystemExit):
        return
    name = arguments.thread.name if arguments.thread else "?"
    structlog.get_logger(__name__).error("thread_failed", thread=name, exc_info=arguments.exc_value)


def _log_unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    structlog.get_logger(__name__).error(
        "error_in_finalizer", object=repr(arguments.object), exc_info=arguments.exc_value
    )
