"""Of a line that is too long quarantine keeps the beginning, and the digest of all of it."""

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"

_WAS = "SHA-256 of raw: the same input is kept once a reason."
_IS = (
    "SHA-256 of raw, or of the whole line that raw is the beginning of (too_long): the same input"
    " is kept once a reason."
)


def upgrade() -> None:
    """Say so."""
    _say(_IS)


def downgrade() -> None:
    """Say what was said before."""
    _say(_WAS)


def _say(comment: str) -> None:
    op.get_bind().connection.cursor().execute(f"COMMENT ON COLUMN quarantine.digest IS '{comment}'")
