"""Addresses in one spelling, and snapshots that carry what their body lacks."""

from pathlib import Path

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"

_SQL = Path(__file__).parent.parent / "sql"
_UP = ("0016/functions", "0016/fact_positions", "0016/as_of", "0016/rows")
_DOWN = ("0010/fact_positions", "0016/before_as_of", "0016/before_rows")


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
