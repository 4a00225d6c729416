"""What ``positionstore check`` looks at in the database, one thing after the other.

A further check is a function of a connection and the store's roles, in :data:`_OF_THE_SCHEMA`.
"""

from collections.abc import Callable, Iterator
from typing import Final

import psycopg
from psycopg import sql

from positionstore.errors import PositionstoreError
from positionstore.model.check import Check
from positionstore.store import citus, migrations, restored
from positionstore.store.access import FUNCTIONS, RELATIONS
from positionstore.store.engine import is_distributed
from positionstore.store.grants import AFTER_THE_ROLES, Role, Roles
from positionstore.store.other_roles import Weight, at_fault, other_rights
from positionstore.store.queries import queries
from positionstore.store.roles import recorded
from positionstore.store.session import role_of


def checks(connection: psycopg.Connection) -> Iterator[Check]:
    """Look at the store; where its schema is not this version's, at nothing behind that.

    Args:
        connection: a connection in autocommit mode.
    """
    version = connection.info.parameter_status("server_version")
    yield Check("database", ok=True, says=f"PostgreSQL {version}, as {role_of(connection)}")
    try:
        migrations.check(connection)
        yield Check("schema", ok=True, says=f"at head: {migrations.head()}")
    except PositionstoreError as error:
        yield Check("schema", ok=False, says=str(error))
        return
    except psycopg.errors.InsufficientPrivilege as error:
        yield Check("schema", ok=False, says=str(error.diag.message_primary))
    roles = recorded(connection)
    for look in _OF_THE_SCHEMA:
        yield look(connection, roles)
    if is_distributed(connection):
        yield _workers(connection)


def _append_only(connection: psycopg.Connection, _: Roles | None) -> Check:
    guard = restored.guard(connection)
    remedy = restored.remedy(guard)
    return Check("append-only", remedy is None, remedy or "the trigger works for every session")


def _writer(connection: psycopg.Connection, roles: Roles | None) -> Check:
    me = role_of(connection)
    role = roles.name(Role.WRITER) if roles else me
    notes: list[str] = []
    if roles and me not in {role, roles.name(Role.OWNER)}:
        notes.append(f"this is {me}; the service is to run as {role}")
    for look in (_lacking, _hidden, _too_much):
        if (found := look(connection, role)) is not None:
            says, statements = found
            return Check("writer", ok=False, says=says, notes=tuple(notes), statements=statements)
    if _owns_the_log(connection, role):
        notes.append(
            f"{role} owns the log, and only its trigger keeps it from changing a fact; "
            "`positionstore roles` makes a writer that may not"
        )
    says = f"{role} may append and project"
    return Check("writer", ok=True, says=says, notes=tuple(notes))


_Wrong = tuple[str, tuple[str, ...]] | None
"""What is wrong with a role's rights, and the statements that put it right."""


def _lacking(connection: psycopg.Connection, role: str) -> _Wrong:
    wanted = [
        (name, privilege)
        for name, access in RELATIONS.items()
        for privilege in sorted(access.writer)
    ]
    named = {
        "role": role,
        "tables": [name for name, _ in wanted],
        "privileges": [privilege for _, privilege in wanted],
        "functions": [name for name, access in FUNCTIONS.items() if access.writer],
    }
    lacking = connection.execute(queries("checks")["lacking"], named).fetchall()
    if not lacking:
        return None
    more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
    grants = tuple(f"GRANT {what} TO {_quoted(connection, role)}" for (what,) in lacking)
    return f"{role} lacks {lacking[0][0]}{more}", grants


def _hidden(connection: psycopg.Connection, role: str) -> _Wrong:
    named = {"role": role, "tables": list(RELATIONS)}
    hidden = [name for (name,) in connection.execute(queries("checks")["hidden"], named)]
    if not hidden:
        return None
    says = f"row security may hide rows of {', '.join(hidden)} from {role}, which has to see all"
    return says, (f"ALTER ROLE {_quoted(connection, role)} BYPASSRLS",)


def _too_much(connection: psycopg.Connection, role: str) -> _Wrong:
    if _owns_the_log(connection, role):
        return None
    found = connection.execute(queries("checks")["may_change_the_log"], {"role": role}).fetchall()
    if not found:
        return None
    privileges = ", ".join(privilege for privilege, _ in found)
    statement = f"REVOKE {privileges} ON TABLE {found[0][1]} FROM {_quoted(connection, role)}"
    return f"{role} has {privileges} on events, which is append-only", (statement,)


def _owns_the_log(connection: psycopg.Connection, role: str) -> bool:
    owns = connection.execute(queries("checks")["owns_the_log"], {"role": role}).fetchone()
    return owns == (True,)


def _roles(connection: psycopg.Connection, roles: Roles | None) -> Check:
    if roles is None:
        return Check("roles", ok=True, says="none of its own; `positionstore roles` makes them")
    missing = tuple(
        statement.as_string(connection)
        for part in AFTER_THE_ROLES
        for statement in part(connection, roles)
    )
    if missing:
        says = f"{len(missing)} statements are missing: run `positionstore roles`"
        return Check("roles", ok=False, says=says, statements=missing)
    return Check("roles", ok=True, says=", ".join(roles.names))


def _other_roles(connection: psycopg.Connection, roles: Roles | None) -> Check:
    found = other_rights(connection, roles)
    notes = tuple(f"{right.role} has {right.may}" for right in found)
    faults = at_fault(found)
    if not faults:
        return Check("other roles", ok=True, says="none can change the store", notes=notes)
    return Check(
        "other roles",
        ok=False,
        says=f"{', '.join(faults)} can change the store",
        notes=notes,
        # What is to come too, or the next migration brings the fault back.
        statements=tuple(right.statement for right in found if right.weight is not Weight.ALLOWED),
    )


def _quoted(connection: psycopg.Connection, role: str) -> str:
    return sql.Identifier(role).as_string(connection)


_SKEWED: Final = 4.0
"""A shard of the log that is so many times the average takes the work to one worker."""

_SMALL: Final = 1e9
"""Bytes of a log below which that is no matter."""


def _workers(connection: psycopg.Connection) -> Check:
    found = citus.shards(connection)
    says = citus.described(found)
    newest = connection.execute(queries("query")["newest_seq"]).fetchone() or (None,)
    behind = (newest[0] or 0) - citus.watermark(connection)
    if behind > 0:
        says += f"; the feed is {behind:,} behind the log, up to the next batch"
    is_small = sum(each.log_bytes for each in found) < _SMALL
    return Check("workers", is_small or citus.skew(found) < _SKEWED, says)


_OF_THE_SCHEMA: Final[tuple[Callable[[psycopg.Connection, Roles | None], Check], ...]] = (
    _append_only,
    _writer,
    _roles,
    _other_roles,
)
