"""Where a store of b0076ff stands: the one earlier schema that is brought to head.

It makes nothing. It is here so that Alembic finds the way from such a store to 0021, which brings
it up; a new store passes through it.
"""

revision: str = "0010"
down_revision: str | None = None


def upgrade() -> None:
    """Make nothing."""


def downgrade() -> None:
    """Leave nothing: 0021 has dropped it all."""
