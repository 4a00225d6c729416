"""The loggers of this package.

structlog brings Rich with it, which costs a short command more than its work. So it is imported
and configured when the first line is logged.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import structlog.stdlib


class _Setup:
    """What is to be done once, before the first line."""

    pending: Callable[[], None] | None = None

    @classmethod
    def run(cls) -> None:
        """Do it, if it was not done yet."""
        setup, cls.pending = cls.pending, None
        if setup is not None:
            setup()


class _LazyLogger:
    def __init__(self, name: str) -> None:
        self._name = name

    # The methods of structlog's logger are its own.
    def __getattr__(self, name: str) -> Any:
        import structlog  # noqa: PLC0415 - see above

        _Setup.run()
        return getattr(structlog.get_logger(self._name), name)


def get_logger(name: str) -> "structlog.stdlib.BoundLogger":
    """Return a logger that behaves as structlog's.

    Args:
        name: the module that logs, ``__name__``.
    """
    return cast("structlog.stdlib.BoundLogger", _LazyLogger(name))


def before_first_line(setup: Callable[[], None]) -> None:
    """Have structlog configured when the first line is logged, and not before."""
    _Setup.pending = setup
