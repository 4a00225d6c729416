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
from functools import partial
from pathlib import Path
from typing import Final, Literal

from positionstore.cli.interrupts import is_news, repeated
from positionstore.cli.masking import masked
from positionstore.log import before_first_line, get_logger
from positionstore.settings import default_data_dir

_LARGEST: Final = 5_000_000  # bytes; then the file starts over
UNEXPECTED: Final = "unexpected_error"
"""The action of an error that nothing expected; a terminal gets one line of it, not two."""
_NOISY: Final = (
    "aiohttp",
    "alembic",
    "asyncio",
    "engineio",
    "httpcore",
    "httpx",
    "py4j",
    "socketio",
)


class Details:
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

    def __init__(self, *, console: bool) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        from positionstore.cli import log_lines  # noqa: PLC0415 - brings structlog and Rich

        try:
            if self.formatter is None:
                self.setFormatter(log_lines.formatter(console=self._console))
            print(self.format(record), file=sys.stderr, flush=True)
        except (OSError, log_lines.DropEvent):  # no reader, or a line that is to be dropped
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
    Details.configured = True
    Details.directory = None if data_dir is None else data_dir / "log"
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    least = logging.getLevelNamesMapping()[level.upper()]
    before_first_line(partial(_configure_structlog, least))
    handler = _StandardError(console=console)
    handler.addFilter(is_news)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(least)
    for name in _NOISY:
        logging.getLogger(name).setLevel(least if level == "debug" else max(least, logging.WARNING))
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(least if level == "debug" else logging.ERROR)
    threading.excepthook = _log_of_thread
    sys.unraisablehook = _log_unraisable


def _configure_structlog(least: int) -> None:
    from positionstore.cli import log_lines  # noqa: PLC0415 - brings structlog and Rich

    log_lines.configure(least)


def log_unexpected(error: BaseException) -> str:
    """Log an unexpected error, with its traceback.

    Returns:
        Where the traceback is, in words.
    """
    if not Details.configured:
        configure_logging(data_dir=default_data_dir())
    Details.where = "the log"
    get_logger(__name__).error(UNEXPECTED, exc_info=error)
    return Details.where


def _log_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is None or issubclass(arguments.exc_type, SystemExit):
        return
    name = arguments.thread.name if arguments.thread else "?"
    get_logger(__name__).error("thread_failed", thread=name, exc_info=arguments.exc_value)


def _log_unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    if repeated(arguments):
        return
    get_logger(__name__).error(
        "error_in_finalizer", object=repr(arguments.object), exc_info=arguments.exc_value
    )
