"""A cluster of Citus that is there already, for the world ``Citus`` of the store's tests.

``POSITIONSTORE_TEST_CITUS_URL`` names its coordinator, and in it a database whose workers are used;
no package of the registries has Citus, so that the tests run none. Each test gets a database of the
same name on every node, as a copy of another: to make the extension anew takes a second a node.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from positionstore.store import citus, database

VARIABLE: Final = "POSITIONSTORE_TEST_CITUS_URL"

SHARDS: Final = 4
"""Of each table: a test has few rows, and a shard is a table to be copied."""

_NAMED_ANEW: Final[LiteralString] = """
    UPDATE pg_dist_object
    SET objid = (SELECT oid FROM pg_database WHERE datname = current_database())
    WHERE classid = 'pg_database'::regclass
"""
"""A copy is another database, and Citus tells workers of the settings of those that it knows."""

_SETTINGS: Final[LiteralString] = """
    SELECT s.setconfig
    FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = %s AND s.setrole = 0
"""


@dataclass(frozen=True)
class Node:
    """A server of the cluster, as its coordinator reaches it.

    Attributes:
        host: its host.
        port: its port.
        group: 0 is the coordinator's.
    """

    host: str
    port: int
    group: int


class CitusCluster:
    """A coordinator and its workers.

    Attributes:
        nodes: the coordinator, then the workers.
    """

    def __init__(self, url: str) -> None:
        self._parameters = conninfo_to_dict(url)
        self._empty = f"test_empty_{uuid.uuid4().hex[:16]}"
        with closing(psycopg.connect(url)) as connection:
            found = connection.execute(
                "SELECT nodename, nodeport, groupid FROM pg_dist_node ORDER BY groupid"
            ).fetchall()
        self.nodes = [Node(*row) for row in found]
        if [node.group for node in self.nodes[:1]] != [0] or len(self.nodes) < 2:
            raise ValueError(f"{VARIABLE} wants citus_set_coordinator_host, and a worker")

    def url(self, database: str, *, user: str = "", password: str | None = None) -> str:
        """Return the URL of a database at the coordinator; of the variable's user by default."""
        user = user or str(self._parameters["user"])
        password = password or str(self._parameters.get("password") or "unused")
        host, port = self._parameters["host"], self._parameters["port"]
        return f"postgresql://{quote(user)}:{quote(password)}@{host}:{port}/{database}"

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Make the database that empty ones are copies of; drop it in the end."""
        with self._copied(self._empty, "template0"):
            for node in self.nodes:
                with self._connected(node, self._empty) as connection:
                    connection.execute("CREATE EXTENSION citus")
            coordinator, *workers = self.nodes
            with self._in_turn(), self._connected(coordinator, self._empty) as connection:
                connection.execute(
                    "SELECT citus_set_coordinator_host(%s, %s)",
                    [coordinator.host, coordinator.port],
                )
                for worker in workers:
                    connection.execute("SELECT citus_add_node(%s, %s)", [worker.host, worker.port])
            yield

    @contextmanager
    def database(self, name: str, template: str) -> Iterator[None]:
        """Make a database, empty or like another one; drop it afterwards.

        An empty one has the extension and the workers.
        """
        with self._copied(name, self._empty if template == "template0" else template):
            yield

    @staticmethod
    def spread(url: str) -> None:
        """Spread a store over the workers, in few shards."""
        with closing(database.connect(url)) as connection:
            connection.execute(f"SET citus.shard_count = {SHARDS}")
            for _ in citus.distribute(connection):
                pass

    @contextmanager
    def _copied(self, name: str, template: str) -> Iterator[None]:
        try:
            for node in self.nodes:
                with self._connected(node) as connection:
                    _copy(connection, name, template)
                if template != "template0":
                    with self._connected(node, name) as connection:
                        connection.execute(_NAMED_ANEW)
            yield
        finally:
            # The coordinator first, for it has sessions at the workers.
            for node in self.nodes:
                with self._connected(node) as connection:
                    _drop(connection, name)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Wait for other processes: each new worker is told of all roles, which databases share."""
        with self._connected(self.nodes[0]) as connection:
            connection.execute("SELECT pg_advisory_lock(16)")
            yield

    @contextmanager
    def _connected(self, node: Node, database: str = "postgres") -> Iterator[psycopg.Connection]:
        parameters = self._parameters | {"host": node.host, "port": node.port, "dbname": database}
        with closing(psycopg.connect(make_conninfo("", **parameters), autocommit=True)) as made:
            yield made


def named() -> CitusCluster | None:
    """Return the cluster that the variable names; None where it names none."""
    url = os.environ.get(VARIABLE)
    return CitusCluster(url) if url else None


def _copy(connection: psycopg.Connection, name: str, template: str) -> None:
    made, source = sql.Identifier(name), sql.Identifier(template)
    if template != "template0":
        _disconnect(connection, template)
    connection.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(made, source)
    )
    # A copy does not have them.
    for (settings,) in connection.execute(_SETTINGS, [template]).fetchall():
        for name_of, _, value in (setting.partition("=") for setting in settings):
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    made, sql.Identifier(*name_of.split(".")), sql.Literal(value)
                )
            )


def _drop(connection: psycopg.Connection, name: str) -> None:
    known = "SELECT FROM pg_database WHERE datname = %s"
    if connection.execute(known, [name]).fetchone() is not None:
        _disconnect(connection, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _disconnect(connection: psycopg.Connection, name: str) -> None:
    """End all sessions of a database; the daemon that Citus has in each comes back otherwise."""
    database = sql.Identifier(name)
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
    )
