"""What the report says, for all of its forms: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from positionstore.health.to_do import ToDo, to_do
from positionstore.model.wording import counted, dollars
from positionstore.reconcile.report import RunReport, RunState
from positionstore.store.backfills import Unrepaired
from positionstore.store.differing import Differing, StillDiffering
from positionstore.store.invalid_fields import InvalidField
from positionstore.store.nights import Night

KINDS: Final = {
    "missing": "missing",
    "stale": "stale",
    "divergent": "divergent",
    "absent_upstream": "absent upstream",
    "unreadable": "unreadable",
}
"""The kinds of discrepancy, and how a person reads them."""

MOST_LISTED: Final = 10_000
"""How many positions that still differ are listed, the largest amounts first."""


_LIST_ALL: Final = (
    "positionstore db psql -c \"SELECT * FROM discrepancies WHERE resolution <> 'repaired'\""
)


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of the report.

    Attributes:
        made_at: its time, UTC.
        environment: whose data the store holds, or that of the key where the store cannot be asked.
        database: which database it is, without a password.
        version: of positionstore.
        report: the run; None if there was none.
        error: why there was none, in one line.
        nights: the last nights, including this one; None if unknown.
        nights_shown: the number of days of the chart.
        gaps: the unrepaired gaps; None if unknown.
        differing: the positions that still differ, whichever run found them; None if unknown.
        invalid_fields: fields that the vendor sent in an unknown form; None if unknown.
    """

    made_at: datetime
    environment: str
    database: str
    version: str
    report: RunReport | None
    error: str
    nights: Sequence[Night] | None
    nights_shown: int
    gaps: Unrepaired | None
    differing: StillDiffering | None
    invalid_fields: Sequence[InvalidField] | None


def verdict(contents: Contents) -> tuple[str, str]:
    """Return how it stands (``good``, ``warn`` or ``bad``), and that in a sentence."""
    report = contents.report
    if report is None:
        return "bad", f"It did not run. {contents.error}"
    if report.state is not RunState.COMPLETE:
        refused = " The vendor refused the credentials." if report.refused else ""
        return "bad", f"The run is {report.state}: not all positions were seen.{refused}"
    if report.unresolved:
        return (
            "warn",
            f"Still different from GET /positions: {counted(report.unresolved, 'position')}.",
        )
    if contents.invalid_fields:
        return "warn", "Some amounts are missing: the vendor sent fields in an unknown form."
    if report.repaired:
        repaired = counted(report.repaired, "position")
        return "good", f"All is well: {repaired} differed, and all is repaired."
    return "good", "All is well: nothing differed."


def head(contents: Contents) -> dict[str, str]:
    """Return what was compared with what: the head of the report."""
    return {
        "Environment": contents.environment,
        "Database": contents.database,
        "Version": contents.version,
    }


def facts(report: RunReport) -> dict[str, str]:
    """Return the run in figures."""
    kinds = (f"{report.by_kind[kind]:,} {KINDS.get(kind, kind)}" for kind in sorted(report.by_kind))
    took = (report.finished_at or report.started_at) - report.started_at
    return {
        "Run": str(report.run_id),
        "Positions seen": f"{report.seen:,}",
        "Differed": ", ".join(kinds) or "none",
        "Repaired": f"{report.repaired:,}",
        "Still differ": f"{report.unresolved:,}",
        "Requests": f"{report.requests:,}, of them {counted(report.retries, 'retry')}",
        "Took": f"{took.total_seconds():,.0f} seconds",
    }


def gaps(contents: Contents) -> str:
    """Say in a line which gaps of the stream nothing has repaired; nothing where none is."""
    found = contents.gaps
    if found is None or not found.gaps:
        return ""
    since = f"{found.since:%F %H:%M} UTC" if found.since else "?"
    said = f"Gaps of the stream that nothing has repaired: {found.gaps:,}, the oldest since {since}"
    if found.open_since is not None:
        return f"{said}. There has been no stream since {found.open_since:%F %H:%M} UTC."
    return f"{said}: positionstore backfill."


def amount(position: Differing) -> str:
    """Return a position's amount, in dollars."""
    return dollars(position.value_usd_pips) or "amount not known"


def action(position: Differing) -> ToDo:
    """Return what to do about a position."""
    return to_do(position.position_id, position.kind, position.resolution)


def described(position: Differing) -> list[str]:
    """Return what a person wants to know of a position, its amount and its wallet first."""
    return [
        amount(position),
        position.status or "not in the store",
        f"wallet {position.wallet_address or 'not known'}",
        f"market {position.market_ticker or position.market_title or 'not known'}",
        KINDS.get(position.kind, position.kind),
    ]


def summed(found: StillDiffering) -> str:
    """Say how many positions still differ, and how much they are worth."""
    return f"{counted(found.in_all, 'position')}, {dollars(found.value_usd_pips)} together"


def unlisted(found: StillDiffering) -> str:
    """Say which positions are not listed, and how to list them; nothing where all are."""
    more = found.in_all - len(found.positions)
    return f"{more:,} of smaller amounts are not listed here: {_LIST_ALL}" if more else ""
