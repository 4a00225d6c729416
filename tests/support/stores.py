"""Databases with the schema, for tests of the store.

Each test process migrates one database a server, and every test gets a copy of it.

``store_url``
    a fresh store on the embedded server.
``any_store_url``
    the same on the server that the store's tests run on; see ``any_database_url``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from positionstore.embedded.server import EmbeddedServer
from positionstore.store import migrations
from support.citus_cluster import CitusCluster
from support.postgres import Server, fresh_database


@contextmanager
def migrated_template(server: Server) -> Iterator[str]:
    """Migrate a database to head; yield its name, for ``fresh_database(server, name)``."""
    with fresh_database(server) as url:
        migrations.migrate(url)
        if isinstance(server, CitusCluster):
            server.spread(url)
        with psycopg.connect(url):
            pass  # the first connection to each copy then finds the cache that this one leaves
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture(scope="session")
def store_template(embedded_server: EmbeddedServer) -> Iterator[str]:
    """The name of a migrated database on the embedded server: copy it, never connect to it."""
    with migrated_template(embedded_server) as name:
        yield name


@pytest.fixture(scope="session")
def any_store_template(postgres: Server) -> Iterator[str]:
    """The same on the server that the store's tests run on."""
    with migrated_template(postgres) as name:
        yield name


@pytest.fixture
def store_url(embedded_server: EmbeddedServer, store_template: str) -> Iterator[str]:
    """A fresh store on the embedded server."""
    with fresh_database(embedded_server, store_template) as url:
        yield url


@pytest.fixture
def any_store_url(postgres: Server, any_store_template: str) -> Iterator[str]:
    """A fresh store on the server that the store's tests run on."""
    with fresh_database(postgres, any_store_template) as url:
        yield url
