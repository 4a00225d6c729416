"""Views read with their reader's rights, and functions mean the same on every search_path.

Views are ``security_invoker``, so that row security holds through them. No body changes in what it
gives, and no row is touched.
"""

from pathlib import Path

from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"

_SQL = Path(__file__).parent.parent / "sql" / "0020"


def upgrade() -> None:
    """Take the reader's rights for each view, and give each function its search_path."""
    _execute("functions")
    _execute("views")


def downgrade() -> None:
    """Take the owner's rights for each view again, and the caller's search_path."""
    _execute("before_views")
    _execute("before_functions")


def _execute(name: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    script = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(script)
