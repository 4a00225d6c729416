"""The extras: optional packages."""

import contextlib
from collections.abc import Iterator
from typing import Final

from positionstore.errors import ConfigurationError

_OF_ARROW: Final = {"adbc_driver_manager", "adbc_driver_postgresql", "pyarrow"}


@contextlib.contextmanager
def arrow_needed() -> Iterator[None]:
    """Raise an error with the remedy if an import of the extra ``arrow`` fails.

    Raises:
        ConfigurationError: one of its packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_ARROW:
            raise
        raise ConfigurationError(
            f"Parquet and Arrow tables need {error.name}, which is not installed.",
            remedy="Install the extra: pip install 'positionstore[arrow]'",
        ) from None
