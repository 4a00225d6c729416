"""No valuation, no moment: an open position that nobody has valued shows no age of it."""

from pathlib import Path

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"

_BOOK = Path(__file__).parent.parent / "sql" / "0004" / "book.sql"
_WAS = "CASE WHEN fresh.is_newer THEN v.as_of ELSE p.last_event_at END AS as_of"
_IS = """CASE
            WHEN fresh.is_newer THEN v.as_of
            WHEN p.current_mark_price_usd_pips IS NOT NULL THEN p.last_event_at
        END AS as_of"""
_COMMENT = (
    "COMMENT ON COLUMN open_positions.valuation_at IS 'The moment of the valuation: that of the"
    " latest one in valuations, or of the last fact where that is newer{more}. UTC.'"
)


def upgrade() -> None:
    """Replace one expression of the view."""
    _replace(_IS, "; NULL where there is none")


def downgrade() -> None:
    """Put it back."""
    _replace(_WAS, "")


def _replace(expression: str, more: str) -> None:
    text = _BOOK.read_text(encoding="utf-8")
    view = text[text.index("CREATE VIEW open_positions") : text.index("COMMENT ON VIEW")]
    view = view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace(_WAS, expression)
    cursor = op.get_bind().connection.cursor()
    cursor.execute(view)
    cursor.execute(_COMMENT.format(more=more))
