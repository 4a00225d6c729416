"""An index that finds the newest events of the stream among imports and snapshots."""

from pathlib import Path

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"

_SQL = Path(__file__).parent.parent / "sql" / "0012"


def upgrade() -> None:
    """Index the events that came over a stream; imports and snapshots cost nothing more."""
    op.execute((_SQL / "stream_events.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop the index."""
    op.execute("DROP INDEX events_of_stream")
