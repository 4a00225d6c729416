"""Processes that are looked at by HTTP, on a fresh store, as the writer."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from support.programs import Programs, programs_on
from support.roles import roles_on

from positionstore.store.grants import Role

HURRIED: Final = {
    "positionstore.web.serving._METRICS_EVERY": 0.5,
    "positionstore.web.serving._PAGE_EVERY": 0.5,
    "positionstore.web.status_page._EVERY": 0.25,
}
"""Seconds between two looks at the store, and between two that a browser is told of."""


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    with roles_on(store_url) as urls:
        async with programs_on(urls[Role.WRITER], tmp_path) as programs:
            programs.environment["POSITIONSTORE_LISTEN"] = "127.0.0.1:0"
            programs.environment["POSITIONSTORE_LOG_FORMAT"] = "json"
            programs.clocks |= HURRIED
            yield programs


@pytest.fixture
def database(store_url: str) -> Iterator[psycopg.Connection]:
    """A look at the store."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        yield connection
