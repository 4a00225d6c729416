"""Alembic's environment: runs the migrations on a connection that it is given.

positionstore passes one in ``config.attributes["connection"]``. From Alembic's own command line
there is none, and the database is the one that ``DATABASE_URL`` names, in the schema that
``POSITIONSTORE_SCHEMA`` names.
"""

import os

import sqlalchemy
from alembic import context
from sqlalchemy import Connection, text

from positionstore.store import migrations


def _run(connection: Connection) -> None:
    # What SET search_path FROM CURRENT gives a function: the store's own schema, and temporary
    # objects last, where they hide nothing. By default they come first.
    connection.execute(
        text("SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)")
    )
    # One transaction for all steps: a migration that fails leaves the schema as it was.
    context.configure(
        connection=connection,
        transaction_per_migration=False,
        # Not one further on in search_path: that is another store's.
        version_table_schema=connection.scalar(text("SELECT current_schema()")),
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: migrations.connect(
            os.environ["DATABASE_URL"], schema=os.environ.get("POSITIONSTORE_SCHEMA") or None
        ),
    )
    with engine.connect() as own:
        _run(own)
        own.commit()
