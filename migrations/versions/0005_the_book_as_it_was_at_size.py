"""The book as it was, at size: which fact stood, without its body; the log read in its order."""

from pathlib import Path

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"

_SQL = Path(__file__).parent.parent / "sql"
_DROPS = """
DROP FUNCTION facts_as_of(timestamptz, timestamptz);
DROP FUNCTION book_changes(timestamptz, timestamptz);
DROP FUNCTION positions_as_of(timestamptz, timestamptz, text, text);
DROP INDEX events_received;
"""


def upgrade() -> None:
    """Create one function, mend two."""
    _execute(_SQL / "0005" / "as_of.sql")


def downgrade() -> None:
    """Put back what was."""
    op.get_bind().connection.cursor().execute(_DROPS)
    _execute(_SQL / "0004" / "as_of.sql")


def _execute(path: Path) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(path.read_text(encoding="utf-8"))
