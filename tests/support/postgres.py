"""Servers and databases for tests.

One embedded server serves all test processes of a run (and of runs at the same time): it is
shared by its data directory, started by the first and removed by the last.

``database_url``
    a fresh, empty database on the embedded server.
``any_database_url``
    the same on the server that ``POSITIONSTORE_TEST_WORLD`` names, the embedded one where it names
    none; for tests of the store. ``scripts/test --lowest`` names PostgreSQL 15.
"""

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from positionstore.embedded import server as embedded
from positionstore.embedded.server import EmbeddedServer
from support import citus_cluster, server_worlds
from support.citus_cluster import CitusCluster
from support.server_worlds import World

TEST_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "10min",
}


def _silent(line: str) -> None:
    """A test does not wait."""


_COUNTS_ROUNDS = 160_000
"""The first version with scram_iterations."""

OWNER = "store_owner"
"""Who owns the databases of a world without a superuser; the password is the same word."""

Server = EmbeddedServer | CitusCluster
"""What databases can be made on."""

_worlds: dict[Path, World] = {}


@contextmanager
def shared_server(
    kind: str, bin_dir: Path | None = None, settings: Mapping[str, str] = TEST_SETTINGS
) -> Iterator[EmbeddedServer]:
    """Use the one server of a kind that all test processes of this checkout share."""
    checkout = hashlib.sha256(os.fsencode(Path(__file__).resolve())).hexdigest()[:8]
    name = f"positionstore-tests-{os.geteuid()}-{checkout}-{kind}"
    data_dir = Path(tempfile.gettempdir()) / name
    with embedded.running(data_dir, say=_silent, bin_dir=bin_dir, settings=settings) as server:
        _spare_rounds(server)
        yield server
    embedded.remove_unused(data_dir)


def _spare_rounds(server: EmbeddedServer) -> None:
    """Have its password hashed once and not 4,096 times: half of what it takes to connect."""
    with psycopg.connect(server.url("postgres")) as connection:
        if connection.info.server_version < _COUNTS_ROUNDS:
            return
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('password'))")
        connection.execute("SET LOCAL scram_iterations = 1")
        connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(server.password))


@contextmanager
def fresh_database(
    server: Server, template: str = "template0", *, name: str = "test_"
) -> Iterator[str]:
    """Make a database, empty or like another one; yield its URL; drop it afterwards.

    Args:
        server: where.
        template: the one that it is like.
        name: what its name begins with.
    """
    name += uuid.uuid4().hex[:16]
    if isinstance(server, CitusCluster):
        with server.database(name, template):
            yield server.url(quote(name))
        return
    world = _worlds.get(server.data_dir, World())
    owner = "positionstore" if world.superuser else OWNER
    locale = world.locale if template == "template0" else ""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template)
            )
            + sql.SQL(f" {locale}")
        )
    if world.schema != "public":
        with psycopg.connect(server.url(quote(name)), autocommit=True) as connection:
            schema = sql.Identifier(world.schema)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET search_path = {}").format(
                    sql.Identifier(name), schema
                )
            )
    try:
        yield (
            server.url(quote(name))
            if world.superuser
            else server.url(quote(name), user=OWNER, password=OWNER)
        )
    finally:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedServer]:
    """The embedded server as a user gets it, but without fsync."""
    with shared_server("embedded") as server:
        yield server


@contextmanager
def server_of(name: str, world: World) -> Iterator[EmbeddedServer]:
    """Run the server of a world."""
    if not world.is_there:
        pytest.skip(f"The programs of {name} are not installed in {world.bin_dir}")
    kind = f"world-{name.replace(' ', '-')}"
    with shared_server(kind, world.bin_dir, TEST_SETTINGS | dict(world.settings)) as server:
        _worlds[server.data_dir] = world
        if not world.superuser:
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute(
                    f"""DO $$ BEGIN
                        CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{OWNER}';
                    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
                )
        yield server


CHOSEN = server_worlds.chosen()
ON_CITUS = CHOSEN is not None and CHOSEN[1].citus
SCHEMA = "public" if CHOSEN is None else CHOSEN[1].schema
"""Where the store is."""

OWN_FUNCTIONS = "the functions on workers stay the superuser's, who migrates and makes roles"
"""Why the owner of the tables does not migrate a store on Citus."""


@contextmanager
def cluster_of_citus() -> Iterator[CitusCluster]:
    """Use the cluster of Citus that the environment names."""
    cluster = citus_cluster.named()
    if cluster is None:
        pytest.skip(f"{citus_cluster.VARIABLE} names no coordinator of Citus")
    with cluster.ready():
        yield cluster


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server that the store's tests run on."""
    if CHOSEN is None:
        yield request.getfixturevalue("embedded_server")
        return
    if ON_CITUS:
        with cluster_of_citus() as cluster:
            yield cluster
        return
    with server_of(*CHOSEN) as server:
        yield server


@pytest.fixture
def database_url(embedded_server: EmbeddedServer) -> Iterator[str]:
    """A fresh, empty database on the embedded server."""
    with fresh_database(embedded_server) as url:
        yield url


@pytest.fixture
def any_database_url(postgres: Server) -> Iterator[str]:
    """A fresh, empty database on the server that the store's tests run on."""
    with fresh_database(postgres) as url:
        yield url
