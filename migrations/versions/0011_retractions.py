"""Retractions: a fact that names another, which then does not count."""

from pathlib import Path

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"

_SQL = Path(__file__).parent.parent / "sql" / "0011"
_FILES = ("retractions", "fold", "history", "as_of")


def upgrade() -> None:
    """Let the log hold retractions, and all that reads it as truth respect them."""
    for name in _FILES:
        _execute(name)


def downgrade() -> None:
    """Take what stood before; refused where the log has retractions."""
    _execute("before")


def _execute(name: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    script = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(script)
