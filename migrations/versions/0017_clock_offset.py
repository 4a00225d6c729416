"""What a run learnt of the server's clock is kept for the next one."""

from pathlib import Path

from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"

_SQL = Path(__file__).parent.parent / "sql" / "0017"


def upgrade() -> None:
    """Add the column."""
    op.execute((_SQL / "clock_offset.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop the column."""
    op.execute("ALTER TABLE reconciliation_runs DROP COLUMN clock_offset")
