"""What analysts read: the book in dollars, the life of a position, the book as it was."""

from pathlib import Path

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"

_SQL = Path(__file__).parent.parent / "sql" / "0004"
_FILES = ("book", "history", "as_of", "feed", "comments")
_DROPS = """
DROP FUNCTION events_after(bigint, integer), book_changes(timestamptz, timestamptz);
DROP FUNCTION positions_as_of(timestamptz, timestamptz, text, text);
DROP INDEX events_received;
DROP VIEW daily_activity, position_lifecycle, position_timeline, closed_positions, open_positions;
DROP FUNCTION changed_fields(jsonb, jsonb);
"""


def upgrade() -> None:
    """Create everything."""
    for name in _FILES:
        _execute((_SQL / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop everything."""
    _execute(_DROPS)


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
