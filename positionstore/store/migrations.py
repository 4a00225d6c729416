"""The schema's version: where it stands, and bringing it to head."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from positionstore.errors import BusyError, SchemaMismatchError
from positionstore.store import (
    citus,
    neighbours,
    refusals,
    restored,
    roles,
    sequences,
    session,
)
from positionstore.store.locks import MIGRATION_LOCK
from positionstore.store.queries import queries

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config

LONGEST_WAIT: Final = 900.0
"""Seconds a migration tries to come by its locks: longer than a reader's statement may run."""

_LOCK_TIMEOUT: Final = 2_000
"""Milliseconds a statement of a migration waits for a lock, and others behind it."""

_PAUSE: Final = 3.0
"""Seconds between two attempts, in which those who waited behind the first get on."""

_LAST_WITH_ALL_STEPS: Final = "commit 74f626c"
"""What brings a store of a revision that was never released to one that this version knows."""

_GIVEN_WAY: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def _folder() -> Path:
    package = Path(__file__).parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - half of the start-up of every command

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """Return the revision that this version of positionstore works with."""
    return _revisions()[-1]


def _revisions() -> Sequence[str]:
    """Return all revisions, the oldest first: what the names of their files begin with."""
    return _revisions_in(_folder())


@cache  # asked for at each new connection, and read from files
def _revisions_in(folder: Path) -> Sequence[str]:
    files = (folder / "versions").glob("*.py")
    if revisions := sorted(file.name.partition("_")[0] for file in files):
        return revisions
    raise SchemaMismatchError("This installation has no migrations.", remedy="Reinstall it.")


def current(connection: psycopg.Connection) -> str | None:
    """Return the revision of the database's schema; None where there is none.

    Raises:
        SchemaMismatchError: ``search_path`` names no schema that exists.
        StoreRefusedError: this role may not use it.
        NeighbourError: another program is in it.
    """
    # Only of the schema that things are created in: one behind it holds another store.
    if not neighbours.is_versioned(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def check(connection: psycopg.Connection) -> None:
    """Check that the database's schema is this version's.

    Raises:
        SchemaMismatchError: it is behind, or ahead; the message says which and what to do.
        NeighbourError: it is another program's.
    """
    found, wanted = current(connection), head()
    if found == wanted:
        return
    if found is None:
        raise SchemaMismatchError(
            "The database has no positionstore schema yet.", remedy="Run `positionstore migrate`."
        )
    _check_known(found)
    raise SchemaMismatchError(
        f"The database's schema is behind: {found}, and this version needs {wanted}.",
        remedy="Run `positionstore migrate`.",
    )


def _check_known(found: str) -> None:
    if found in _revisions():
        return
    if _revisions()[0] < found < head():
        # Alembic's steps from 0011 to 0020 were never released, and are one now.
        raise SchemaMismatchError(
            f"The database's schema is {found}, which only a development version made.",
            remedy=f"Migrate with {_LAST_WITH_ALL_STEPS} of the repository first; or restore the "
            "dump from before, and migrate that.",
        )
    raise SchemaMismatchError(
        f"The database's schema is ahead: {found}, and this version knows {head()}.",
        remedy="Upgrade positionstore.",
    )


def migrate(
    url: str,
    *,
    schema: str | None = None,
    down_to: str | None = None,
    wait: float = LONGEST_WAIT,
    say: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str | None, str | None]:
    """Bring the schema of the database at ``url`` to head, in one transaction.

    What a restore left otherwise than the migrations made it is put right as well.

    Two that start at once take turns. Where another session holds a table that has to be changed,
    a report for instance, it neither hangs behind that session nor lets everyone else queue up
    behind itself: it gives way after two seconds, with nothing changed, and tries again.

    Args:
        url: the database.
        schema: the schema to migrate in, which is made where there is none; None for the first of
            the ``search_path``.
        down_to: take the schema back to this revision instead: ``base``, for nothing at all.
        wait: how many seconds it may try.
        say: takes a line for the person who waits.
        sleep: waits a number of seconds.
        clock: tells seconds.

    Returns:
        The revision before and the one after.

    Raises:
        BusyError: another session has held what is to be changed for all that time.
        PositionstoreError: this role may not do it, and the remedy names the grant; or a view that
            is not the store's depends on what has to be made again.
        SchemaMismatchError: the schema is ahead of this version, or there is none to migrate in.
        NeighbourError: another program is in it; nothing has changed.
        StoreRefusedError: there is a pooler in front of it that does not keep a session.
    """
    import sqlalchemy  # noqa: PLC0415 - half of the start-up of every command

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        # libpq reads the URL, so that all it understands is understood here too.
        creator=lambda: connect(url, schema=schema),
        poolclass=sqlalchemy.NullPool,
    )
    deadline = clock() + wait
    try:
        while True:
            try:
                return _attempt(engine, schema, down_to, say)
            except (sqlalchemy.exc.DBAPIError, psycopg.Error) as error:
                cause = getattr(error, "orig", error)
                if isinstance(cause, psycopg.errors.InsufficientPrivilege):
                    with connect(url, schema=schema) as connection:
                        raise refusals.of_migration(connection, cause) from None
                if isinstance(cause, psycopg.errors.DependentObjectsStillExist):
                    raise refusals.of_dependents(cause) from None
                if not isinstance(cause, _GIVEN_WAY):
                    raise
            held = f"A table that the migration changes is in use by {_holders(url, schema)}"
            if clock() >= deadline:
                raise BusyError(
                    f"{held}; nothing has changed.",
                    remedy="Let it end, or end it with pg_terminate_backend, and migrate again.",
                )
            if say is not None:
                say(f"{held}; trying again.")
            sleep(_PAUSE)
    finally:
        engine.dispose()


def _attempt(
    engine: "sqlalchemy.Engine",
    schema: str | None,
    down_to: str | None,
    say: Callable[[str], None] | None,
) -> tuple[str | None, str | None]:
    from alembic import command  # noqa: PLC0415 - the same

    config = _config()
    with engine.begin() as connection:
        execute = connection.exec_driver_sql
        execute(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        # Later requests queue behind a lock that is waited for.
        execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT}")
        if schema is not None:
            neighbours.make_schema(_driven(connection), schema)
        before = current(_driven(connection))
        if before is not None:
            _check_known(before)
            citus.prepare(_driven(connection))
        config.attributes["connection"] = connection
        if down_to is None:
            command.upgrade(config, "head")
        else:
            command.downgrade(config, down_to)
        driven = _driven(connection)
        after = current(driven)
        if down_to is None:
            citus.adapt(driven)
        for change in _put_right(driven) if down_to is None else ():
            if say is not None:
                say(change)
        if (known := roles.recorded(driven)) is not None:
            roles.grant(driven, known)
    return before, after


def _put_right(connection: psycopg.Connection) -> Iterator[str]:
    """Put right what a restore or a cut-over left otherwise; yield a line for each change."""
    yield from restored.put_right(connection)
    for table in sequences.align(connection):
        yield f"The numbers of {table} began again below those in use; now they go on."


def connect(url: str, *, schema: str | None = None) -> psycopg.Connection:
    """Open a connection to migrate over.

    Raises:
        StoreRefusedError: there is a pooler in front of it that does not keep a session.
    """
    connection = psycopg.connect(url, autocommit=True)
    try:
        session.prepare(
            connection, another=lambda: psycopg.connect(url, autocommit=True), schema=schema
        )
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def _holders(url: str, schema: str | None) -> str:
    with connect(url, schema=schema) as connection:
        found = connection.execute(queries("migrations")["holders"]).fetchall()
    return ", ".join(holder for (holder,) in found) or "another session, which has just ended"


def _driven(connection: "sqlalchemy.Connection") -> psycopg.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the engine was made for psycopg")
    return driver
