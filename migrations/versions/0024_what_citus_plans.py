"""What Citus plans: joins by position, and views that take no column of a composite type.

Functions and views with the same arguments, columns and rows. One a file, whole and with its
comment.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"

_FOLDER: Final = Path(__file__).parent.parent / "sql"

_NEW: Final = ("moment_at", "moment_source")
"""New functions."""

_FUNCTIONS_OF: Final = {
    "0022": (
        "facts_as_of",
        "positions_as_of",
        "positions_known_at",
        "positions_valid_at",
        "book_changes",
    ),
}
"""Functions that change, by the migration that has them as they were."""

_VIEWS_OF: Final = {
    "0022": (
        "closed_positions",
        "daily_activity",
        "open_positions",
        "position_lifecycle",
        "position_size_changes",
    ),
}
"""Views that change, likewise."""


def upgrade() -> None:
    """Make the new functions, and replace the others and the views."""
    _run_files(revision, "functions", _NEW)
    for names in _FUNCTIONS_OF.values():
        _run_files(revision, "functions", names)
    for names in _VIEWS_OF.values():
        _run_files(revision, "views", names)


def downgrade() -> None:
    """Make them as they were."""
    for release, names in _VIEWS_OF.items():
        _run_files(release, "views", names)
    for release, names in _FUNCTIONS_OF.items():
        _run_files(release, "functions", names)
    for name in _NEW:
        _execute(f"DROP FUNCTION {name}")


def _run_files(release: str, kind: str, names: Iterable[str]) -> None:
    for name in names:
        _execute((_FOLDER / release / kind / f"{name}.sql").read_text(encoding="utf-8"))


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
