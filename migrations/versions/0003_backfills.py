"""How far each backfill has come, so that one that was killed can go on."""

from pathlib import Path

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"

_SQL = Path(__file__).parent.parent / "sql" / "0003"


def upgrade() -> None:
    """Create the tables."""
    _execute((_SQL / "backfills.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop the tables."""
    _execute("DROP TABLE backfill_walks, backfills;")


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
