"""The store's identity: one database holds the data of one environment."""

import psycopg

from positionstore.errors import WrongEnvironmentError
from positionstore.settings import Environment

_CLAIM = """
    INSERT INTO store_identity (environment) VALUES (%(environment)s)
    ON CONFLICT (only_row) DO NOTHING
"""


def claim(connection: psycopg.Connection, environment: Environment) -> None:
    """Mark the store as one of ``environment``; the first to come decides.

    Raises:
        WrongEnvironmentError: the store holds the other environment's data.
    """
    if identity(connection) is None:  # else there is nothing to write, not even where one may not
        connection.execute(_CLAIM, {"environment": environment})
    check(connection, environment)


def check(connection: psycopg.Connection, environment: Environment) -> None:
    """Refuse a store of another environment than this one; a store that has none is left so.

    Raises:
        WrongEnvironmentError: the store holds the other environment's data.
    """
    found = identity(connection)
    if found not in {None, environment}:
        raise WrongEnvironmentError(
            f"This store holds {found} data, but the credentials are for {environment}.",
            remedy="Nothing was sent. Use another database, or the other key.",
        )


def identity(connection: psycopg.Connection) -> Environment | None:
    """Return the environment whose data the store holds; None where it holds none yet."""
    row = connection.execute("SELECT environment FROM store_identity").fetchone()
    return Environment(row[0]) if row else None
