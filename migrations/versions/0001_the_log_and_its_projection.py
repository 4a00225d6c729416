"""The log, its projection, and what stands beside them."""

from pathlib import Path

from alembic import op

revision: str = "0001"
down_revision: str | None = None

_SQL = Path(__file__).parent.parent / "sql" / "0001"
_FILES = ("reference", "events", "intake", "order", "positions", "compression", "comments")
_DROPS = """
DROP VIEW fact_positions, ranked_positions;
DROP FUNCTION bigint_from_wire(text), instant_from_wire(text), jsonb_from_wire(json);
DROP TABLE positions;
DROP FUNCTION fold_facts(text[], timestamptz, timestamptz);
DROP VIEW ranked_facts;
DROP FUNCTION rank_of_fact(text, timestamptz, integer, integer, text);
DROP TYPE fact_rank;
DROP TABLE store_identity, stream_sessions, quarantine, events;
DROP FUNCTION refuse_change_of_events();
DROP TABLE event_types, position_statuses;
"""


def upgrade() -> None:
    """Create everything."""
    for name in _FILES:
        _execute((_SQL / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop everything."""
    _execute(_DROPS)


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
