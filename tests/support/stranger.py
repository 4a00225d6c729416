"""Roles that are none of a store's own, for tests."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from positionstore.store.roles import url_of
from support.roles import connected


@contextmanager
def a_role(url: str, *grants: str, options: str = "") -> Iterator[tuple[str, str]]:
    """Make a role with these rights on a store; yield its name and its URL; drop it afterwards.

    Args:
        url: the store's, as a superuser.
        grants: statements in which ``{role}`` and ``{database}`` stand for the names.
        options: of ``CREATE ROLE``.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    role = sql.Identifier(name)
    with connected(url) as admin:
        database = sql.Identifier(admin.info.dbname)
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x' {}").format(role, sql.SQL(options))
        )
        try:
            for grant in grants:
                admin.execute(sql.SQL(grant).format(role=role, database=database))
            yield name, url_of(url, name, "x")
        finally:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name]
            )
            admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))
