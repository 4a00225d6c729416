"""positionstore: the books of leveraged prediction-market positions.

:func:`connect` opens a store for reading, as Arrow tables for a notebook. Everything else is the
command ``positionstore``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from positionstore.notebook import Book

__all__ = ["connect"]


def connect(url: str | None = None, *, numeric_as_text: bool = False) -> "Book":
    """Open a store for reading.

    As in::

        with positionstore.connect() as book:
            frame = book.positions(phase="live").to_pandas()

    Args:
        url: a PostgreSQL URL, as in ``DATABASE_URL``; by default that of the environment or
            ``.env``, or else the embedded server.
        numeric_as_text: whether exact decimals are read as text of any length, instead of
            decimals of 38 digits.

    Raises:
        ConfigurationError: the URL is invalid, the schema is not this version's, or the extra
            ``arrow`` is not installed; the message names the remedy.
        DatabaseUnavailableError: the server cannot be reached or started.
    """
    # Here, so that the command line, which imports this too, starts without all of it.
    from positionstore.extras import arrow_needed  # noqa: PLC0415

    with arrow_needed():
        from positionstore.notebook import connect as opened  # noqa: PLC0415

    return opened(url, numeric_as_text=numeric_as_text)
