"""No column names its compression, so that a dump restores on any server."""

from pathlib import Path

from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Let the columns take what the session names."""
    op.execute((_SQL / "0018" / "compression.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Let them name lz4 again, where the server has it."""
    op.execute((_SQL / "0001" / "compression.sql").read_text(encoding="utf-8"))
