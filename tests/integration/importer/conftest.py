"""A second store."""

from collections.abc import Iterator

import pytest
from support.postgres import fresh_database

from positionstore.embedded.server import EmbeddedServer


@pytest.fixture
def other_url(embedded_server: EmbeddedServer, store_template: str) -> Iterator[str]:
    """A second store, empty."""
    with fresh_database(embedded_server, store_template) as url:
        yield url
