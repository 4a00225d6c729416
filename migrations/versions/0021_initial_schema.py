"""The schema, whole. A store of b0076ff is brought to the same, with its data.

One object a file. Functions and views are ``CREATE OR REPLACE``, so that both ways share them.
"""

from collections.abc import Iterable
from pathlib import Path

from alembic import op

revision: str = "0021"
down_revision: str | None = "0010"

_SQL = Path(__file__).parent.parent / "sql" / "0021"

_ARCHIVES = ("tables/archives", "tables/archived_positions")
_GUARDS = ("functions/refuse_change_of_events", "functions/see_what_left_the_log")
_TABLES = (
    "tables/alembic_version",
    "tables/position_statuses",
    "tables/event_types",
    "tables/events",
    "tables/positions",
    "tables/quarantine",
    "tables/stream_sessions",
    "tables/store_identity",
    "tables/reconciliation_runs",
    "tables/discrepancies",
    "tables/valuations",
    "tables/valuation_history",
    "tables/backfills",
    "tables/backfill_walks",
)
_FUNCTIONS = (
    "functions/rank_of_fact",
    "functions/bigint_from_wire",
    "functions/instant_from_wire",
    "functions/jsonb_from_wire",
    "functions/address_from_wire",
    "functions/with_carried",
    "functions/is_retracted",
    "functions/fact_digest",
    "functions/refuse_what_is_archived",
    "functions/fold_facts",
    "functions/facts_as_of",
    "functions/positions_as_of",
    "functions/changed_fields",
    "functions/book_changes",
    "functions/events_after",
)
_VIEWS = (
    "views/ranked_facts",
    "views/ranked_positions",
    "views/fact_positions",
    "views/retractions",
    "views/open_positions",
    "views/closed_positions",
    "views/position_timeline",
    "views/position_lifecycle",
    "views/daily_activity",
    "views/coverage_gaps",
)

_NEW = ("types/fact_rank", *_ARCHIVES, *_GUARDS, *_TABLES, *_FUNCTIONS, *_VIEWS)
_FROM_0010 = (
    "from_0010/events",
    "from_0010/event_types",
    "from_0010/stream_sessions",
    "from_0010/reconciliation_runs",
    "from_0010/discrepancies",
    *_ARCHIVES,
    *_GUARDS,
    *_FUNCTIONS,
    *_VIEWS,
    "from_0010/positions",
    "from_0010/triggers",
)


def upgrade() -> None:
    """Make everything; where there is a log already, bring it and what is beside it up."""
    has_log = (
        op.get_bind()
        .exec_driver_sql(
            "SELECT EXISTS (SELECT FROM pg_tables"
            " WHERE schemaname = current_schema() AND tablename = 'events')"
        )
        .scalar()
    )
    for name in _FROM_0010 if has_log else _NEW:
        _execute((_SQL / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop everything."""
    _execute(
        f"DROP VIEW {_names(_VIEWS)};"
        "DROP FUNCTION events_after;"
        f"DROP TABLE {_names(_TABLES[1:])}, {_names(_ARCHIVES)};"
        f"DROP FUNCTION {_names(set(_FUNCTIONS) - {'functions/events_after'})}, {_names(_GUARDS)};"
        "DROP TYPE fact_rank;"
    )


def _names(files: Iterable[str]) -> str:
    return ", ".join(name.partition("/")[2] for name in files)


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
