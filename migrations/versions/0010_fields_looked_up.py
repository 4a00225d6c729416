"""The fields of a fact are looked up one by one, which costs less than a record a section."""

from pathlib import Path

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"

_SQL = Path(__file__).parent.parent / "sql"
_BEGINNING = "CREATE VIEW fact_positions AS"
_AFTER = "COMMENT ON VIEW fact_positions"


def upgrade() -> None:
    """Replace the view that makes a row of positions of a fact."""
    _execute((_SQL / "0010" / "fact_positions.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Take the view of before."""
    script = (_SQL / "0001" / "positions.sql").read_text(encoding="utf-8")
    view = script[script.index(_BEGINNING) : script.index(_AFTER)]
    _execute(view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
