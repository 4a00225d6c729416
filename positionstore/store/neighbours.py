"""The schema that the store is in, and what else may be in it.

A database may hold other programs, and other stores, each in a schema of its own. The store's is
the first of the session's ``search_path``. Another program's tables there are left alone: they are
named, and ``POSITIONSTORE_SCHEMA`` is offered.
"""

from typing import Final

import psycopg
from psycopg import sql

from positionstore.errors import NeighbourError, SchemaMismatchError, StoreRefusedError
from positionstore.store.access import FUNCTIONS, RELATIONS, TYPES
from positionstore.store.queries import queries
from positionstore.store.session import role_of

VERSION_TABLE: Final = "alembic_version"
_NAMED: Final = 3
_OTHER_SCHEMA: Final = (
    "Nothing was changed. Set POSITIONSTORE_SCHEMA to a schema of its own, positionstore for "
    "instance; `positionstore migrate` makes it."
)


def is_versioned(connection: psycopg.Connection) -> bool:
    """Say whether there is a store in the session's schema.

    Raises:
        SchemaMismatchError: there is no such schema.
        StoreRefusedError: this role may not use it.
        NeighbourError: another program is in it.
    """
    found = connection.execute(queries("neighbours")["schema"]).fetchone()
    schema, has_version, is_ours = found or (None, False, False)
    if schema is None:
        raise _no_schema(connection)
    if has_version and is_ours:
        return True
    if has_version and not _is_empty(connection, schema):
        raise NeighbourError(
            f"Schema {schema} holds the {VERSION_TABLE} of another program.", remedy=_OTHER_SCHEMA
        )
    # A store that was taken back to nothing leaves its version table, empty.
    names = {"names": [*sorted({*RELATIONS, *FUNCTIONS, *TYPES} - {VERSION_TABLE})]}
    taken = [name for (name,) in connection.execute(queries("neighbours")["taken"], names)]
    if taken:
        more = f" and {len(taken) - _NAMED} more" if len(taken) > _NAMED else ""
        raise NeighbourError(
            f"Schema {schema} holds what another program made, under names that the store needs: "
            f"{', '.join(taken[:_NAMED])}{more}.",
            remedy=_OTHER_SCHEMA,
        )
    return False


def exists(connection: psycopg.Connection, name: str) -> bool:
    """Say whether there is a schema of this name."""
    found = connection.execute(queries("neighbours")["exists"], {"name": name}).fetchone()
    return found == (True,)


def make_schema(connection: psycopg.Connection, name: str) -> None:
    """Make a schema where there is none of that name.

    Raises:
        StoreRefusedError: this role may not.
    """
    if exists(connection, name):
        return
    me = role_of(connection)  # before a refusal, after which the transaction answers nothing
    try:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        role, database = (
            sql.Identifier(given).as_string() for given in (me, connection.info.dbname)
        )
        raise StoreRefusedError(
            f"Schema {name} is not there, and role {me} may not make it.",
            remedy=f"As the database's owner: GRANT CREATE ON DATABASE {database} TO {role}; or "
            f"CREATE SCHEMA {sql.Identifier(name).as_string()} AUTHORIZATION {role};",
        ) from None


def _is_empty(connection: psycopg.Connection, schema: str) -> bool:
    table = sql.Identifier(schema, VERSION_TABLE)
    try:
        return (
            connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(table)).fetchone() is None
        )
    except psycopg.errors.InsufficientPrivilege:
        return False


def _no_schema(connection: psycopg.Connection) -> SchemaMismatchError | StoreRefusedError:
    row = connection.execute(queries("neighbours")["not_for_us"]).fetchone()
    if row is not None:
        (schema,) = row
        me = role_of(connection)
        grant = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
            sql.Identifier(schema), sql.Identifier(me)
        )
        return StoreRefusedError(
            f"Role {me} may not use schema {schema}.",
            remedy=f"As its owner: {grant.as_string()};",
        )
    return SchemaMismatchError(
        "The search_path of this connection names no schema that exists.",
        remedy="Set POSITIONSTORE_SCHEMA to its name and run `positionstore migrate`, which makes "
        "it; or make it with CREATE SCHEMA.",
    )
