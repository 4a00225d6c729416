"""Alembic's environment: for migrations, and for ``alembic check``.

positionstore passes one in ``config.attributes["connection"]``. From Alembic's own command line
there is none, and the database is the one that ``DATABASE_URL`` names, in the schema that
``POSITIONSTORE_SCHEMA`` names.
"""

import os
from collections.abc import Iterable

import sqlalchemy
from alembic import context
from alembic.autogenerate.rewriter import Rewriter
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from positionstore.store import migrations
from positionstore.store.neighbours import VERSION_TABLE
from positionstore.store.schema import metadata

_without_comments = Rewriter()


@_without_comments.rewrites(ops.AlterColumnOp)
def _unless_of_comment(
    _context: MigrationContext, _revision: object, op: ops.AlterColumnOp
) -> ops.AlterColumnOp | list[ops.MigrateOperation]:
    # Comments stand in the SQL of the migrations alone, and not in the metadata as well.
    op.modify_comment = False
    return op if op.has_changes() else []


@_without_comments.rewrites(ops.DropTableCommentOp)
def _no_table_comment(
    _context: MigrationContext, _revision: object, _op: ops.DropTableCommentOp
) -> Iterable[ops.MigrateOperation]:
    return []


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
        target_metadata=metadata,
        # Alembic leaves out its own table only where it is in no schema that is named.
        include_name=lambda name, kind, _parents: (kind, name) != ("table", VERSION_TABLE),
        process_revision_directives=_without_comments,
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
