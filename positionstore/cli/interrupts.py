"""Ctrl-C and SIGTERM, and the errors that come of them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""

_MOMENT: Final = 0.01
"""Seconds."""

_terminated: Final = threading.Event()


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: resources are released; it exits with 143."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, _: object) -> None:
    _terminated.set()
    sys.exit(128 + number)


def repeat_where_lost() -> None:
    """Let Ctrl-C and SIGTERM come again where Python drops the exception that they raise.

    That is in a destructor, and in a callback: the import system has one for each module.
    """
    sys.unraisablehook = _repeat


def _repeat(dropped: "sys.UnraisableHookArgs") -> None:
    if not repeated(dropped):
        sys.__unraisablehook__(dropped)


def repeated(dropped: "sys.UnraisableHookArgs") -> bool:
    """Return whether what Python drops is an interrupt, which then comes again."""
    if dropped.exc_type is KeyboardInterrupt:
        number = signal.SIGINT
    elif dropped.exc_type is SystemExit and _terminated.is_set():
        number = signal.SIGTERM
    else:
        return False
    threading.Thread(target=_send_again, args=(number,), daemon=True).start()
    return True


def _send_again(number: int) -> None:
    """Send a signal to this process once it is out of the hook, where it would be dropped too."""
    time.sleep(_MOMENT)
    while _is_in_the_hook():
        time.sleep(_MOMENT)
    os.kill(os.getpid(), number)


def _is_in_the_hook() -> bool:
    """Return whether the main thread, which hears signals, is told of something dropped."""
    hook = {repeated.__code__, getattr(sys.unraisablehook, "__code__", None)}
    main = threading.main_thread().ident
    frames = sys._current_frames()  # noqa: SLF001 - documented; nothing else shows a thread's stack
    frame = frames.get(main) if main is not None else None
    while frame is not None:
        if frame.f_code in hook:
            return True
        frame = frame.f_back
    return False


def exit_code(code: int) -> int:
    """Return an exit code, but SIGTERM's for one of Ctrl-C where a library took it for that."""
    return 128 + signal.SIGTERM if code == INTERRUPTED and _terminated.is_set() else code


def end_at_once() -> None:
    """Let Ctrl-C and SIGTERM end this process without a word: it has nothing to release."""
    for number in _caught():
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end this process at once while modules are imported.

    An exception would be a traceback where nothing catches it yet, and be lost where it comes in
    a callback of the import system.
    """
    before = {number: signal.getsignal(number) for number in _caught()}
    end_at_once()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _caught() -> list[signal.Signals]:
    """Return which of them Python handles: nohup, and the & of a shell, have them ignored."""
    if threading.current_thread() is not threading.main_thread():
        return []  # which alone may set what a signal does
    return [each for each in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(each))]


def exit_code_behind(error: BaseException | None) -> int | None:
    """Return the exit code of the interrupt while which an error arose, or None without one.

    Args:
        error: may be the interrupt itself.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else 1
        error = error.__context__
    return None


def is_news(record: "logging.LogRecord") -> bool:
    """Return whether a line of the log says more than that an interrupt came.

    An interrupt may come between two steps of a statement. The rollback that follows then fails,
    or the statement cannot be cancelled, and psycopg warns of either although nothing is lost.
    """
    from_psycopg = record.name.partition(".")[0] == "psycopg"
    return not from_psycopg or exit_code_behind(sys.exception()) is None
