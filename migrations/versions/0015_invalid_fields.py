"""The positions with invalid fields are found without reading the others."""

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"


def upgrade() -> None:
    """Add an index of the few rows that have one."""
    _execute(
        "CREATE INDEX positions_misfit_fields ON positions (position_id)"
        " WHERE misfit_fields <> '{}'"
    )


def downgrade() -> None:
    """Drop it."""
    _execute("DROP INDEX positions_misfit_fields")


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
