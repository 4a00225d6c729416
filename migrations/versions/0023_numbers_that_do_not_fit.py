"""Reports that one absurd amount does not end, and days that have begun.

Functions alone, with the same arguments and rows. One a file, whole and with its comment.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"

_FOLDER: Final = Path(__file__).parent.parent / "sql"

_OF_0022: Final = (
    "local_days",
    "book_at",
    "activity_by_day",
    "end_of_day_book",
    "fee_accrual",
    "partner_revenue",
    "pnl_attribution",
    "cohort_survival",
)
_OF_0021: Final = ("events_after",)


def upgrade() -> None:
    """Replace the functions."""
    _run_files(revision, (*_OF_0021, *_OF_0022))


def downgrade() -> None:
    """Make them as they were."""
    _run_files("0021", _OF_0021)
    _run_files("0022", _OF_0022)


def _run_files(release: str, names: Iterable[str]) -> None:
    for name in names:
        script = (_FOLDER / release / "functions" / f"{name}.sql").read_text(encoding="utf-8")
        # Below SQLAlchemy, which would take a percent sign for a placeholder.
        op.get_bind().connection.cursor().execute(script)
