"""Addresses in one spelling, and snapshots that carry what their body lacks."""

from pathlib import Path

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"

_SQL = Path(__file__).parent.parent / "sql" / "0016"
_UP = ("functions", "fact_positions", "as_of", "rows")
_DOWN = ("before_fact_positions", "before_as_of", "before_rows")


def upgrade() -> None:
    """Replace the view that makes a row of a fact, then bring the rows in line."""
    for name in _UP:
        _execute(name)


def downgrade() -> None:
    """Take the view of before, and the wire's spelling."""
    for name in _DOWN:
        _execute(name)


def _execute(name: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    script = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(script)
