"""What a role that PostgreSQL refuses something lacks, asked of the catalogue.

The server's own words name the object, but in the server's language, and not the remedy.
"""

from typing import Final

import psycopg
from psycopg import sql

from positionstore.errors import PositionstoreError, first_line
from positionstore.store.queries import queries
from positionstore.store.session import role_of

TO_WORK: Final = (
    "Work as the writer: the reader only reads. "
    "`positionstore check` names what the role of DATABASE_URL lacks, and the GRANT; "
    "`positionstore roles`, as an administrator, makes a writer and a reader that lack nothing."
)
"""The remedy where a command may not do its work."""

_TO_MAKE_ROLES: Final = (
    "`positionstore roles --print` prints the SQL that is missing, for someone who may execute "
    "it: a superuser, or a role that may make roles (CREATEROLE) and owns the database and what "
    "is in it."
)


def of_roles(error: psycopg.Error) -> PositionstoreError:
    """Return the error of a role that may not make the store's roles, or not grant."""
    return PositionstoreError(_said(error), remedy=_TO_MAKE_ROLES)


def of_migration(connection: psycopg.Connection, error: psycopg.Error) -> PositionstoreError:
    """Return the error of a role that may not migrate; the remedy names the grant.

    Args:
        connection: another than the one that failed, of the same role.
        error: of the migration.
    """
    user = sql.Identifier(role_of(connection))
    row = connection.execute(queries("refusals")["to_migrate"]).fetchone()
    schema, may_create, owner = row or (None, True, None)
    if owner is not None:
        # A member of the owner may change what is the owner's.
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(owner), user)
        remedy = f"Migrate as {owner}, the tables' owner, or let it: {grant.as_string()};"
    elif schema is not None and not may_create:
        grant = sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(sql.Identifier(schema), user)
        remedy = f"As the owner of the schema or a superuser: {grant.as_string()};"
    else:
        remedy = "Migrate as the owner of the schema and of what is in it, or as a superuser."
    return PositionstoreError(_said(error), remedy=remedy)


def of_dependents(error: psycopg.Error) -> PositionstoreError:
    """Return the error of a migration that what is not the store's stands in the way of."""
    dependents = (error.diag.message_detail or str(error)).strip().splitlines()
    more = f" and {len(dependents) - 1} more" if len(dependents) > 1 else ""
    return PositionstoreError(
        f"The migration has to make something again: {dependents[0]}{more}.",
        remedy="Drop what depends on it, migrate, and make it again.",
    )


def _said(error: psycopg.Error) -> str:
    said = first_line(error.diag.message_primary or error)
    return f"PostgreSQL says: {said.rstrip('.')}."
