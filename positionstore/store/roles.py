"""Four roles, each with no more rights than its work needs.

=======  ==================================================================================
owner    changes the schema, and adds rows to the reference tables: ``positionstore migrate``
writer   appends to the log and projects, and cannot change or remove a fact: the service
reader   selects what analysts read, and writes nothing: people, notebooks, BI tools
builder  reads the same, and makes tables and views in a schema of its own: dbt
=======  ==================================================================================

What each may do with an object is said in :mod:`positionstore.store.access`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from positionstore import postgres_url
from positionstore.embedded.cluster import new_password
from positionstore.store.engine import has_citus
from positionstore.store.grants import (
    FOR_ADMINISTRATORS,
    FOR_SUPERUSERS,
    ON_OBJECTS,
    Part,
    Role,
    Roles,
    is_superuser,
    missing_roles,
)
from positionstore.store.locks import MIGRATION_LOCK
from positionstore.store.queries import queries

DEFAULT_PREFIX: Final = "positionstore"
"""What the roles' names begin with by default."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the roles.

    Attributes:
        statements: what was done, in order; passwords are not in it.
        passwords: of the roles that were given a new one.
        open_doors: whether PostgreSQL's own functions are still everybody's to call, because only
            a superuser can change that.
    """

    statements: list[str]
    passwords: dict[Role, str]
    open_doors: bool


def recorded(connection: psycopg.Connection) -> Roles | None:
    """Return the roles of the store, which the log's owner tells; None where it has none."""
    row = connection.execute(queries("roles")["recorded"]).fetchone()
    prefix, separator, _ = str(row[0] if row else "").rpartition(f"_{Role.OWNER}")
    roles = Roles(prefix)
    missing = set(missing_roles(connection, roles))
    if not separator or missing - {roles.name(Role.BUILDER)}:
        return None
    return Roles(prefix, has_builder=not missing)


def may_act_as(connection: psycopg.Connection, name: str) -> bool:
    """Say whether this role may ``SET ROLE`` to another."""
    row = connection.execute(queries("roles")["may_act_as"], {"name": name}).fetchone()
    return bool(row and row[0])


def plan(connection: psycopg.Connection, roles: Roles) -> list[str]:
    """Return what there is to do, for an administrator; nothing is changed, no password is in it.

    A new role has no password, and cannot log in before it is given one.
    """
    return [
        statement
        for part in (*FOR_ADMINISTRATORS, *FOR_SUPERUSERS)
        for statement in _statements(connection, roles, part)
    ]


def apply(
    connection: psycopg.Connection,
    roles: Roles,
    *,
    keep: Callable[[Mapping[Role, str]], None],
    renew: Iterable[Role] = (),
) -> Applied:
    """Make the roles, and see to it that each may do what it should and nothing else.

    One transaction: when it fails, nothing has changed. A role that there was keeps its password,
    and what was set for it.

    Args:
        connection: a connection in autocommit mode, of a superuser, or of a role that may make
            roles and owns the database and the schema's objects.
        roles: what they are called.
        keep: takes the new passwords, before anything is committed.
        renew: roles that get a new password although they exist.

    Raises:
        psycopg.errors.InsufficientPrivilege: this role may not do it.
    """
    parts = (*FOR_ADMINISTRATORS, *(FOR_SUPERUSERS if is_superuser(connection) else ()))
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        made = set(missing_roles(connection, roles))
        executed = _execute(connection, roles, parts)
        passwords = {
            role: new_password() for role in Role if roles.name(role) in made or role in set(renew)
        }
        for role, password in passwords.items():
            set_password(connection, roles.name(role), password)
        keep(passwords)
        open_doors = any(any(part(connection, roles)) for part in FOR_SUPERUSERS)
    return Applied(executed, passwords, open_doors)


def url_of(url: str, user: str, password: str) -> str:
    """Return the URL of a database for another role.

    Args:
        url: as in ``DATABASE_URL``: a URL, or keywords and values.
        user: the role.
        password: its password.
    """
    parts = postgres_url.split(url)
    if parts is None:
        return make_conninfo(url, user=user, password=password)
    kept = [
        parameter
        for parameter in parts.query.split("&")
        if parameter.partition("=")[0] not in {"", "user", "password"}
    ]
    query = f"?{'&'.join(kept)}" if kept else ""
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{credentials}@{parts.place}{parts.path}{query}"


def set_password(connection: psycopg.Connection, name: str, password: str) -> None:
    """Give a role a password; the server, and so its log, gets to see no more than its hash."""
    hashed = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(name), sql.Literal(hashed.decode())
        )
    )


def grant(connection: psycopg.Connection, roles: Roles) -> list[str]:
    """Hand the schema's objects to the owner, and grant what is to be granted on them.

    A migration ends with it, within its transaction: what it made is at once for whom it should be.

    Returns:
        What was done.
    """
    return _execute(connection, roles, ON_OBJECTS)


def _execute(connection: psycopg.Connection, roles: Roles, parts: Iterable[Part]) -> list[str]:
    executed = []
    for part in parts:
        for statement in _statements(connection, roles, part):
            connection.execute(statement.encode())
            executed.append(statement)
    return executed


def _statements(connection: psycopg.Connection, roles: Roles, part: Part) -> Iterator[str]:
    texts = [statement.as_string(connection) for statement in part(connection, roles)]
    if not any(map(_OF_CODE.search, texts)) or not has_citus(connection):
        yield from texts
        return
    here_alone, everywhere = (
        queries("citus")[name].as_string(connection) for name in ("here_alone", "everywhere")
    )
    for of_code, some in groupby(texts, lambda text: bool(_OF_CODE.search(text))):
        # Citus sees circles among types and functions; on a worker anybody may call them.
        if of_code:
            yield here_alone
        yield from some
        if of_code:
            yield everywhere


_OF_CODE: Final = re.compile(r"^ALTER (?:TYPE|FUNCTION) |^(?:GRANT|REVOKE) \S+ ON FUNCTION ")
"""A statement on a type or a function."""
