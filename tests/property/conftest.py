"""Stores for the property tests: one a module and server, which its examples share."""

from collections.abc import Iterator

import pytest
from support.postgres import Server, fresh_database

from positionstore.store.database import Store


@pytest.fixture(scope="module")
def store(postgres: Server, any_store_template: str) -> Iterator[Store]:
    """A store whose examples keep out of each other's way by ids of their own."""
    with fresh_database(postgres, any_store_template) as url:
        yield Store(url, embedded=False)
