"""${message}."""

from alembic import op

revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}


def upgrade() -> None:
    """Do it."""
    ${upgrades if upgrades else "op.execute('')"}


def downgrade() -> None:
    """Undo it."""
    ${downgrades if downgrades else "op.execute('')"}
