"""A store with its roles, for tests."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import psycopg
from psycopg import sql

from positionstore.store import database
from positionstore.store.grants import Role, Roles
from positionstore.store.roles import apply, url_of

Urls = Mapping[Role, str]


@contextmanager
def roles_on(url: str) -> Iterator[Urls]:
    """Make the roles of a store; yield the URL of each; drop them afterwards.

    Their names are like no other's: roles belong to a server, and tests share one.
    """
    roles = Roles(f"test_{uuid.uuid4().hex[:12]}")
    urls: dict[Role, str] = {}

    def keep(passwords: Mapping[Role, str]) -> None:
        for role, password in passwords.items():
            urls[role] = url_of(url, roles.name(role), password)

    with closing(database.connect(url)) as connection:
        apply(connection, roles, keep=keep)
    try:
        yield urls
    finally:
        drop_roles(url, roles)


def drop_roles(url: str, roles: Roles) -> None:
    """Drop the roles of a store; what they own and may do goes back to where it came from."""
    with closing(database.connect(url)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY (%s)",
            [roles.names],
        )
        # By its name: of CURRENT_USER, Citus 13.2 ends the coordinator's server.
        owner = sql.Identifier(connection.info.user)
        for name in map(sql.Identifier, roles.names):
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(name, owner))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
            connection.execute(sql.SQL("DROP ROLE {}").format(name))


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode, without any set-up of ours."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection
