"""The extras: optional packages."""

import contextlib
from collections.abc import Iterator, Set
from typing import Final

from positionstore.errors import ConfigurationError

_OF_ARROW: Final = {"adbc_driver_manager", "adbc_driver_postgresql", "pyarrow"}


def arrow_needed() -> contextlib.AbstractContextManager[None]:
    """Raise an error with the remedy if an import of the extra ``arrow`` fails.

    Raises:
        ConfigurationError: one of its packages is not installed.
    """
    return _needed("arrow", "Parquet, Arrow tables and object stores", _OF_ARROW)


def iceberg_needed() -> contextlib.AbstractContextManager[None]:
    """Raise an error with the remedy if an import of the extra ``iceberg`` fails.

    Raises:
        ConfigurationError: one of its packages is not installed.
    """
    return _needed("iceberg", "Tables of Iceberg", {*_OF_ARROW, "pyiceberg"})


def lake_needed() -> contextlib.AbstractContextManager[None]:
    """Raise an error with the remedy if an import of the extra ``lake`` fails.

    Raises:
        ConfigurationError: one of its packages is not installed.
    """
    return _needed("lake", "Lakes", {*_OF_ARROW, "duckdb", "pyiceberg"})


def spark_needed() -> contextlib.AbstractContextManager[None]:
    """Raise an error with the remedy if an import of the extra ``spark`` fails.

    Raises:
        ConfigurationError: one of its packages is not installed.
    """
    return _needed("spark", "Folds by Spark", {*_OF_ARROW, "pyiceberg", "pyspark"})


def explore_needed() -> contextlib.AbstractContextManager[None]:
    """Raise an error with the remedy if an import of the extra ``explore`` fails.

    Raises:
        ConfigurationError: one of its packages is not installed.
    """
    return _needed("explore", "Queries in the browser", {*_OF_ARROW, "altair", "marimo"})


@contextlib.contextmanager
def _needed(extra: str, what: str, packages: Set[str]) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise ConfigurationError(
            f"{what} need {error.name}, which is not installed.",
            remedy=f"Install the extra: pip install 'positionstore[{extra}]'",
        ) from None
