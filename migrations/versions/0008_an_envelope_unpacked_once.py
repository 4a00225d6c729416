"""An envelope is unpacked once to become a row of positions, and not twice."""

from pathlib import Path

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Replace the function that reads an envelope."""
    _replace_with("0008")


def downgrade() -> None:
    """Take the function of before."""
    _replace_with("0007")


def _replace_with(version: str) -> None:
    script = (_SQL / version / "jsonb_from_wire.sql").read_text(encoding="utf-8")
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
