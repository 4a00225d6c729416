"""Who may do what with each object of the schema: the one place where it is said.

Whatever is not named here, neither the writer nor the reader can touch. A test compares this with
a migrated database, so that a migration that makes something has to say here for whom.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Privileges:
    """The privileges on one object; the owner has all of them, others have none.

    Attributes:
        writer: those of the writer, which the service runs as.
        reader: those of the reader, which analysts and their tools run as.
        public: those of every role of the server.
    """

    writer: frozenset[str]
    reader: frozenset[str]
    public: frozenset[str] = frozenset()


def _table(*writes: str) -> Privileges:
    # The reader reads everything: tools list all of the schema, even what a user may not read.
    return Privileges(frozenset({"SELECT", *writes}), frozenset({"SELECT"}))


_SEEN_BY_BOTH: Final = _table()
_EXECUTE: Final = frozenset({"EXECUTE"})
_CALLED_BY_ALL: Final = Privileges(_EXECUTE, _EXECUTE, _EXECUTE)
"""Of a function that only reads and computes. A view calls it with its reader's rights, so that
a role that may select from the view needs it too; what it reads is guarded by itself."""

_CALLED_BY_NOBODY: Final = Privileges(frozenset(), frozenset())

RELATIONS: Final[dict[str, Privileges]] = {
    "alembic_version": _SEEN_BY_BOTH,
    "archived_positions": _SEEN_BY_BOTH,  # only the owner moves facts
    "archives": _SEEN_BY_BOTH,
    "backfill_walks": _table("INSERT", "UPDATE"),
    "backfills": _table("INSERT", "UPDATE"),
    "closed_positions": _SEEN_BY_BOTH,
    "coverage_gaps": _SEEN_BY_BOTH,
    "daily_activity": _SEEN_BY_BOTH,
    "discrepancies": _table("INSERT", "UPDATE"),
    "event_types": _SEEN_BY_BOTH,
    "events": _table("INSERT"),
    "fact_positions": _SEEN_BY_BOTH,
    "open_positions": _SEEN_BY_BOTH,
    "position_lifecycle": _SEEN_BY_BOTH,
    "position_notifications": _SEEN_BY_BOTH,
    "position_size_changes": _SEEN_BY_BOTH,
    "position_statuses": _SEEN_BY_BOTH,
    "position_sub_resources": _table("INSERT", "UPDATE"),
    "position_timeline": _SEEN_BY_BOTH,
    "positions": _table("INSERT", "UPDATE", "DELETE"),
    "quarantine": _table("INSERT", "UPDATE"),
    "ranked_facts": _SEEN_BY_BOTH,
    "ranked_positions": _SEEN_BY_BOTH,
    "reconciliation_runs": _table("INSERT", "UPDATE"),
    "retractions": _SEEN_BY_BOTH,
    "store_identity": _table("INSERT"),
    "stream_sessions": _table("INSERT", "UPDATE"),
    "valuation_history": _table("INSERT"),
    "valuations": _table("INSERT", "UPDATE", "DELETE"),
}
"""Tables and views."""

FUNCTIONS: Final[dict[str, Privileges]] = {
    "activity_by_day": _CALLED_BY_ALL,
    "address_from_wire": _CALLED_BY_ALL,
    "bigint_from_wire": _CALLED_BY_ALL,
    "book_at": _CALLED_BY_ALL,
    "book_changes": _CALLED_BY_ALL,
    "changed_fields": _CALLED_BY_ALL,
    "cohort_survival": _CALLED_BY_ALL,
    "end_of_day_book": _CALLED_BY_ALL,
    "ended_by_facts": _CALLED_BY_ALL,
    "ended_moment": _CALLED_BY_ALL,
    "events_after": _CALLED_BY_ALL,
    "fact_digest": _CALLED_BY_ALL,
    "facts_as_of": _CALLED_BY_ALL,
    "fee_accrual": _CALLED_BY_ALL,
    "fold_facts": _CALLED_BY_ALL,
    "instant_from_wire": _CALLED_BY_ALL,
    "is_retracted": _CALLED_BY_ALL,
    "jsonb_from_wire": _CALLED_BY_ALL,
    "local_days": _CALLED_BY_ALL,
    "moment_at": _CALLED_BY_ALL,
    "moment_source": _CALLED_BY_ALL,
    "open_interest": _CALLED_BY_ALL,
    "opened_by_facts": _CALLED_BY_ALL,
    "opened_moment": _CALLED_BY_ALL,
    "partner_revenue": _CALLED_BY_ALL,
    "pnl_attribution": _CALLED_BY_ALL,
    "positions_as_of": _CALLED_BY_ALL,
    "positions_known_at": _CALLED_BY_ALL,
    "positions_to_fold": _CALLED_BY_ALL,
    "positions_valid_at": _CALLED_BY_ALL,
    "rank_of_fact": _CALLED_BY_ALL,
    "refuse_change_of_events": _CALLED_BY_NOBODY,  # a trigger needs no privilege
    "refuse_what_is_archived": _CALLED_BY_ALL,
    "see_what_left_the_log": _CALLED_BY_NOBODY,
    "usd_from_pips": _CALLED_BY_ALL,
    "with_carried": _CALLED_BY_ALL,
}
"""Functions; none of them runs with its owner's rights."""

RELATIONS_ON_CITUS: Final[dict[str, Privileges]] = {"log_watermark": _table("UPDATE")}
"""Tables that only a store on Citus has."""

FUNCTIONS_ON_CITUS: Final[dict[str, Privileges]] = {
    "publish_watermark": Privileges(_EXECUTE, frozenset()),
    "text_of": _CALLED_BY_ALL,
}
"""Functions that only a store on Citus has."""

TYPES: Final = ("fact_rank", "position_moment", "token_units", "usd")
"""Types, which anybody may use and only the owner may change."""
