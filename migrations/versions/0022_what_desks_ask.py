"""What desks ask: views with other columns and types, and objects that are new.

Every view is dropped and made again, so that a column of it may change. One object a file; a
view that no longer is as 0021 left it, and everything new, is named in the lists below.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"

_FOLDER = Path(__file__).parent.parent / "sql"

_EARLIER_VIEWS = (
    "ranked_facts",
    "ranked_positions",
    "fact_positions",
    "retractions",
    "open_positions",
    "closed_positions",
    "position_timeline",
    "position_lifecycle",
    "daily_activity",
    "coverage_gaps",
)
"""The views of 0021, in the order in which they are made."""

_TYPES: Sequence[str] = ("position_moment", "usd", "token_units")
"""New types."""

_TABLES: Sequence[str] = (
    "events",
    "valuations",
    "positions",
    "reconciliation_runs",
    "position_sub_resources",
)
"""New tables, and files that change one of 0021."""

_FUNCTIONS: Sequence[str] = (
    "opened_by_facts",
    "ended_by_facts",
    "opened_moment",
    "ended_moment",
    "open_interest",
    "usd_from_pips",
    "positions_to_fold",
    "positions_as_of",
    "facts_as_of",
    "book_changes",
    "local_days",
    "positions_known_at",
    "positions_valid_at",
    "book_at",
    "activity_by_day",
    "end_of_day_book",
    "fee_accrual",
    "partner_revenue",
    "pnl_attribution",
    "cohort_survival",
)
"""Functions that are new, or replaced: one of 0021 whose arguments stay is ``OR REPLACE``."""

_VIEWS: Sequence[str] = (
    *_EARLIER_VIEWS,
    "position_notifications",
    "position_size_changes",
)
"""All views. One may read a function above it."""

_RETYPED: Sequence[str] = ("positions_as_of",)
"""Functions of 0021 whose rows change: they are dropped before they are made again."""

_VALUED: Sequence[str] = (
    "effective_leverage_bps",
    "collateral_usd_pips",
    "effective_collateral_usd_pips",
    "leverage_bps",
    "book_leverage_bps",
    "notional_usd_pips",
    "position_token_units",
    "unrealized_pnl_bps",
    "net_unrealized_pnl_bps",
    "remaining_bps",
    "liquidation_buffer_bps",
    "liquidation_fee_bps",
    "margin_buffer_usd_pips",
    "accrued_lifetime_fee_usd_pips",
    "accrued_venue_fee_usd_pips",
    "pending_lifetime_fee_usd_pips",
    "lifetime_apr_bps",
    "origination_fee_bps",
    "origination_fee_usd_pips",
    "total_fees_usd_pips",
    "total_lifetime_fee_usd_pips",
    "total_venue_fee_usd_pips",
    "market_close_time",
    "market_status",
    "settlement_state",
    "time_to_close_minutes",
    "is_voided",
    "is_settlement_pending",
)
"""The columns that the tables of valuations get."""

_UNDO_TABLES: Sequence[str] = (
    "ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (position_id, event_id)",
    "DROP TABLE position_sub_resources",
    *(
        f"ALTER TABLE {table} " + ", ".join(f"DROP COLUMN {name}" for name in _VALUED)
        for table in ("valuations", "valuation_history")
    ),
    "ALTER TABLE reconciliation_runs DROP COLUMN duration_seconds",
    "ALTER TABLE reconciliation_runs DROP COLUMN clock_offset_seconds",
    "ALTER TABLE positions ALTER COLUMN entry_position_token_units TYPE numeric",
    "ALTER TABLE positions ALTER COLUMN current_position_token_units TYPE numeric",
)
"""The statements that take ``_TABLES`` back, in this order."""


def upgrade() -> None:
    """Drop the views, and make them and all that is new."""
    grants = _grants((*_EARLIER_VIEWS, *_RETYPED))
    _drop("VIEW", _EARLIER_VIEWS)
    _drop("FUNCTION", _RETYPED)
    for kind, names in (
        ("types", _TYPES),
        ("tables", _TABLES),
        ("functions", _FUNCTIONS),
        ("views", _VIEWS),
    ):
        _run_files("0022", kind, names)
    _execute(";".join(grants))


def downgrade() -> None:
    """Drop what is new, and make the rest as 0021 has it."""
    earlier = [name for name in _FUNCTIONS if (_FOLDER / f"0021/functions/{name}.sql").exists()]
    grants = _grants((*_EARLIER_VIEWS, *_RETYPED))
    _drop("VIEW", _VIEWS)
    # So that none is bound to one that is dropped.
    _run_files("0021", "functions", [name for name in earlier if name not in _RETYPED])
    _drop("FUNCTION", [name for name in _FUNCTIONS if name in _RETYPED or name not in earlier])
    _drop("TYPE", _TYPES)
    _execute(";".join(_UNDO_TABLES))
    _execute(_earlier_comments())
    _run_files("0021", "functions", _RETYPED)
    _run_files("0021", "views", _EARLIER_VIEWS)
    _execute(";".join(grants))


def _grants(names: Sequence[str]) -> list[str]:
    """Return the statements that grant again what anyone was granted on views and functions.

    Those of the store's own roles are brought up to date after every migration. A role that an
    administrator has made, for a dashboard for instance, would lose its own else.
    """
    found = op.get_bind().exec_driver_sql(
        """
        SELECT format(
            'GRANT %%s ON %%s TO %%s%%s',
            a.privilege_type,
            o.called,
            CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
            CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
        )
        FROM (
            SELECT relname, 'TABLE ' || oid::regclass, relacl, relowner
            FROM pg_class WHERE relnamespace = quote_ident(current_schema())::regnamespace
            UNION ALL
            SELECT proname, 'FUNCTION ' || oid::regprocedure, proacl, proowner
            FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace
        ) o (name, called, acl, owner), aclexplode(o.acl) a
        WHERE o.name = ANY (%s) AND a.grantee <> o.owner
        """,
        (list(names),),
    )
    return [str(row[0]) for row in found]


def _drop(kind: str, names: Iterable[str]) -> None:
    if listed := ", ".join(names):
        _execute(f"DROP {kind} {listed}")


def _run_files(release: str, kind: str, names: Iterable[str]) -> None:
    for name in names:
        _execute((_FOLDER / release / kind / f"{name}.sql").read_text(encoding="utf-8"))


def _earlier_comments() -> str:
    """Return the comments of 0021 on the columns of the tables that this changes."""
    texts = [
        (_FOLDER / f"0021/tables/{name}.sql").read_text(encoding="utf-8")
        for name in ("positions", "valuations")
    ]
    texts.append(texts[-1].replace("COLUMN valuations.", "COLUMN valuation_history."))
    return "\n".join(
        line for text in texts for line in text.splitlines() if line.startswith("COMMENT ON COLUMN")
    )


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
