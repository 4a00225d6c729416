"""A kind of discrepancy for a position whose answer is no position."""

from pathlib import Path

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"

_SQL = Path(__file__).parent.parent / "sql" / "0014"


def upgrade() -> None:
    """Let discrepancies be of the new kind."""
    _execute("discrepancies.sql")


def downgrade() -> None:
    """Take the kinds of before."""
    _execute("before.sql")


def _execute(name: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    script = (_SQL / name).read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(script)
