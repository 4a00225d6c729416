"""No two facts share a seq: the index of it is unique.

It is built beside the one that there is, so that readers go on meanwhile; appenders wait. On a log
of a hundred million facts that takes minutes.
"""

from pathlib import Path

import sqlalchemy.exc
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"

_SQL = Path(__file__).parent.parent / "sql" / "0019"


def upgrade() -> None:
    """Put a unique index in place of the other."""
    unique = (_SQL / "unique.sql").read_text(encoding="utf-8")
    try:
        with op.get_bind().begin_nested():
            op.execute(unique)
    except sqlalchemy.exc.IntegrityError:
        # The sequence has begun anew before this version could notice it.
        op.execute((_SQL / "shared.sql").read_text(encoding="utf-8"))
        op.execute(unique)


def downgrade() -> None:
    """Put an ordinary index in its place."""
    op.execute((_SQL / "before.sql").read_text(encoding="utf-8"))
