"""A number takes no more room in positions than on the wire.

Rows that were made before, and hold a number with an exponent of three digits, are made anew by
``positionstore rebuild``.
"""

from pathlib import Path

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"

_SQL = Path(__file__).parent.parent / "sql" / "0007"


def upgrade() -> None:
    """Replace the function that reads an envelope."""
    script = (_SQL / "jsonb_from_wire.sql").read_text(encoding="utf-8")
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)


def downgrade() -> None:
    """Leave the function: the schema before is served by it as well."""
