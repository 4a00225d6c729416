"""One text for PostgreSQL and Citus: archives, the fold, the book, the feed.

One object a file, whole and with its comment.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"

_FOLDER: Final = Path(__file__).parent.parent / "sql"
_FUNCTIONS_OF: Final = {
    "0021": ("refuse_change_of_events", "see_what_left_the_log", "fold_facts"),
    "0023": ("book_at", "events_after"),
}
"""Functions that change, by the migration that has them as they were."""


def upgrade() -> None:
    """Add what proves that facts are in an archive, and replace what asks for it."""
    _run_files(revision, "tables", ("archived_positions",))
    for names in _FUNCTIONS_OF.values():
        _run_files(revision, "functions", names)


def downgrade() -> None:
    """Make all as it was."""
    for release, names in _FUNCTIONS_OF.items():
        _run_files(release, "functions", names)
    _execute("ALTER TABLE archived_positions DROP COLUMN digest")


def _run_files(release: str, kind: str, names: Iterable[str]) -> None:
    for name in names:
        _execute((_FOLDER / release / kind / f"{name}.sql").read_text(encoding="utf-8"))


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
