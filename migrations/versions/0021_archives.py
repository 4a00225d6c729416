"""Archives: facts of positions that ended long ago, in files outside the log."""

from pathlib import Path

from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"

_SQL = Path(__file__).parent.parent / "sql"
_UP = ("0021/archives", "0021/guard", "0021/fold", "0021/book_changes", "0021/history")
_DOWN = (
    "0021/before",
    "0011/history",
    "0021/before_history",
    "0020/views",
    "0004/comments",
    "0011/fold",
    "0011/as_of",
    "0021/after",
)


def upgrade() -> None:
    """Make the tables of archives, the one way out of the log, and what respects both."""
    for name in _UP:
        _execute(name)


def downgrade() -> None:
    """Take what stood before; refused while facts are in an archive."""
    for name in _DOWN:
        _execute(name)


def _execute(name: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    script = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(script)
