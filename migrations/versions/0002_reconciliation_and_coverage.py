"""Reconciliation runs, what they found, valuations, and the coverage of the stream."""

from pathlib import Path

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"

_SQL = Path(__file__).parent.parent / "sql" / "0002"
_FILES = ("runs", "coverage")
_DROPS = """
DROP VIEW coverage_gaps;
DROP TABLE valuation_history, valuations, discrepancies, reconciliation_runs;
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
