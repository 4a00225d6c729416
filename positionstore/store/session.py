"""What a session of the database is like, whatever role, server, URL or environment say.

A setting that changes a result or ends a statement is ours on every connection, psycopg's and
ADBC's alike: a role may have a ``statement_timeout`` or another ``DateStyle``, a database a time
zone, the environment a ``PGCLIENTENCODING``. A limit for one piece of work is set
after this.

Source: the PostgreSQL manual, "Client Connection Defaults" and "Planner Method Configuration".
"""

from collections.abc import Callable, Mapping
from typing import Final

import psycopg

from positionstore.store import pooler

SEARCH_PATH: Final = "search_path"
"""Its value is a list of identifiers, and no text like that of the others."""

_SINCE_17: Final = 170_000
_RESULTS: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "array_nulls": "on",
    "extra_float_digits": "1",
    "xmloption": "content",
}
_TRANSACTIONS: Final = {
    # What waits for a lock has to see what was committed meanwhile, and not to fail because of it.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
_TIMEOUTS: Final = {
    "statement_timeout": 0,
    "lock_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 0,
    "transaction_timeout": _SINCE_17,
}
"""Which there are, and from which version of PostgreSQL on; none of them is in force."""

_PLANS: Final = {
    # A batch may hold one event or a hundred thousand: no plan made for one fits the other. The
    # statements have many columns and few rows, which compiling them never pays for.
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    # A batch of tens of thousands is sorted and joined in memory.
    "work_mem": "64MB",
}


_COMPRESS: Final = b"""(
    SELECT set_config(name, 'lz4', false) FROM pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
)"""
"""lz4 takes bodies in half again as fast as pglz does; a server may have been built without it."""


def settings(
    server_version: int, *, reads: bool = False, schema: str | None = None
) -> dict[str, str]:
    """Return what holds for a session.

    Args:
        server_version: as libpq tells it: 150004 is 15.4.
        reads: whether it is for reading what a role may see. Otherwise row security is off: a row
            that a policy hides would be a lie, and is an error instead.
        schema: the one that the store is in; None leaves the role's or the URL's ``search_path``.
    """
    timeouts = {name: "0" for name, since in _TIMEOUTS.items() if server_version >= since}
    policies = {} if reads else {"row_security": "off"}
    path = {} if schema is None else {SEARCH_PATH: quoted(schema)}
    return {**_RESULTS, **_TRANSACTIONS, **timeouts, **policies, **_PLANS, **path}


def quoted(name: str) -> str:
    """Return a name as an SQL identifier, which keeps its case and every character."""
    return '"' + name.replace('"', '""') + '"'


def limit(connection: psycopg.Connection, limits: Mapping[str, str]) -> None:
    """Bound what a session may take from now on.

    Args:
        connection: it, in autocommit mode.
        limits: settings such as ``statement_timeout``, each with its value and unit.
    """
    for name, value in limits.items():
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])


def role_of(connection: psycopg.Connection) -> str:
    """Return the role that a session works as: behind a pooler another than the one that asked."""
    row = connection.execute("SELECT current_user::text").fetchone()
    return str(row[0]) if row else connection.info.user


def prepare(
    connection: psycopg.Connection,
    *,
    another: Callable[[], psycopg.Connection],
    reads: bool = False,
    schema: str | None = None,
) -> None:
    """Make a session ours, in one statement; behind a pooler only once it is seen to be kept.

    Args:
        connection: it, in autocommit mode.
        another: opens a second connection to the same place; asked for behind a pooler alone.
        reads: see :func:`settings`.
        schema: see :func:`settings`.

    Raises:
        StoreRefusedError: a pooler does not keep it; nothing was set.
        DatabaseUnavailableError: it cannot be seen whether a pooler keeps it; nothing was set.
        psycopg.Error: the server does not take it.
    """
    ours = settings(connection.info.server_version, reads=reads, schema=schema)
    calls = [b"set_config(%s, %s, false)"] * len(ours)
    if not reads:
        calls.append(_COMPRESS)
    statement = b"SELECT " + b", ".join(calls)
    values: list[object] = [part for setting in ours.items() for part in setting]
    # The process that the connection began with is the server's, unless a pooler stands between.
    direct = statement + b" WHERE pg_backend_pid() = %s"
    begun_with = connection.info.backend_pid
    if connection.execute(direct, [*values, begun_with], prepare=False).fetchone() is None:
        pooler.require_session(connection, another)
        connection.execute(statement, values, prepare=False)
