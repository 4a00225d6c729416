"""The names of the engines, for those who only offer them."""

from enum import StrEnum


class EngineName(StrEnum):
    """The engines that fold a lake."""

    DUCKDB = "duckdb"
    SPARK = "spark"
