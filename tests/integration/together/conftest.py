"""Processes on one store, side by side."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from support.programs import Programs, programs_on


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs_on(store_url, tmp_path) as programs:
        yield programs


@pytest.fixture
def database(store_url: str) -> Iterator[psycopg.Connection]:
    """A look at the store."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        yield connection
