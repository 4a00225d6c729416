"""The schema's version: where it stands, and bringing it to head."""

from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from positionstore.errors import SchemaMismatchError
from positionstore.store.locks import MIGRATION_LOCK


def _folder() -> Path:
    package = Path(__file__).parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """Return the revision that this version of positionstore works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise SchemaMismatchError("This installation has no migrations.", remedy="Reinstall it.")
    return revision


def current(connection: psycopg.Connection) -> str | None:
    """Return the revision of the database's schema; None where there is none.

    Raises:
        SchemaMismatchError: ``search_path`` names no schema that exists.
    """
    with connection.cursor() as cursor:
        # Only of the schema that things are created in: one behind it holds another store.
        cursor.execute("""
            SELECT current_schema(),
                to_regclass(quote_ident(current_schema()) || '.alembic_version') IS NOT NULL
        """)
        schema, exists = cursor.fetchone() or (None, None)
        if schema is None:
            raise SchemaMismatchError(
                "The search_path of this connection names no schema that exists.",
                remedy="Make it with CREATE SCHEMA, or name another.",
            )
        if not exists:
            return None
        cursor.execute("SELECT version_num FROM alembic_version")
        row = cursor.fetchone()
        return str(row[0]) if row else None


def check(connection: psycopg.Connection) -> None:
    """Check that the database's schema is this version's.

    Raises:
        SchemaMismatchError: it is behind, or ahead; the message says which and what to do.
    """
    found, wanted = current(connection), head()
    if found == wanted:
        return
    if found is None:
        raise SchemaMismatchError(
            "The database has no positionstore schema yet.", remedy="Run `positionstore migrate`."
        )
    if found in _known():
        raise SchemaMismatchError(
            f"The database's schema is behind: {found}, and this version needs {wanted}.",
            remedy="Run `positionstore migrate`.",
        )
    raise SchemaMismatchError(
        f"The database's schema is ahead: {found}, and this version knows {wanted}.",
        remedy="Upgrade positionstore.",
    )


def migrate(url: str, *, down_to: str | None = None) -> tuple[str | None, str | None]:
    """Bring the schema of the database at ``url`` to head, in one transaction.

    Two that start at once take turns.

    Args:
        url: the database.
        down_to: take the schema back to this revision instead (``base`` for nothing at all).

    Returns:
        The revision before and the one after.

    Raises:
        SchemaMismatchError: the schema is ahead of this version, or there is none to migrate in.
    """
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        # libpq reads the URL, so that all it understands is understood here too.
        creator=lambda: psycopg.connect(url),
        poolclass=sqlalchemy.NullPool,
    )
    config = _config()
    try:
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK}
            )
            before = current(_driven(connection))
            if before is not None and before not in _known():
                raise SchemaMismatchError(
                    f"The database's schema is ahead: {before}, and this version knows {head()}.",
                    remedy="Upgrade positionstore.",
                )
            config.attributes["connection"] = connection
            if down_to is None:
                command.upgrade(config, "head")
            else:
                command.downgrade(config, down_to)
            after = current(_driven(connection))
        return before, after
    finally:
        engine.dispose()


def _driven(connection: sqlalchemy.Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the engine was made for psycopg")
    return driver


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
