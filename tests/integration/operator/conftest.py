"""What an operator touches is tried as processes on a fresh store, as the writer."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from support.programs import Programs, programs_on
from support.roles import roles_on

from positionstore.store.grants import Role


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    with roles_on(store_url) as urls:
        async with programs_on(urls[Role.WRITER], tmp_path) as programs:
            yield programs


@pytest.fixture
def database(store_url: str) -> Iterator[psycopg.Connection]:
    """A look at the store."""
    with psycopg.connect(store_url, autocommit=True) as connection:
        yield connection
