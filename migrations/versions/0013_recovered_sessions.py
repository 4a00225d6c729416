"""Coverage tells a recovered stretch from a gap that needs repair."""

from pathlib import Path

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add what a recovery says of a session, and use it in ``coverage_gaps``."""
    for name in ("stream_sessions", "coverage_gaps"):
        _execute((_SQL / "0013" / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Forget which gaps were recovered: each is one that needs repair again."""
    _execute("DROP VIEW coverage_gaps")
    _execute(
        "ALTER TABLE stream_sessions DROP COLUMN recovered, DROP COLUMN recovered_from,"
        " DROP COLUMN recovered_until"
    )
    _execute((_SQL / "0002" / "coverage.sql").read_text(encoding="utf-8"))


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
