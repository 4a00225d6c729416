"""A run's report as plain values, for whoever writes JSON."""

from dataclasses import asdict
from typing import Final

from positionstore.reconcile.report import Discrepancy, RunReport

MOST_LISTED: Final = 1_000
"""How many discrepancies an account lists; the table ``discrepancies`` has all of them."""

_KINDS: Final = ("missing", "stale", "divergent", "absent_upstream", "unreadable")


def as_dict(report: RunReport, *, at_most: int = MOST_LISTED) -> dict[str, object]:
    """Return the columns of ``reconciliation_runs``, and the discrepancies; moments stay such.

    Args:
        report: the run.
        at_most: how many discrepancies are listed; ``discrepancies_omitted`` counts the others.

    Returns:
        Of a dry run ``run_id`` is None. ``duration`` and ``clock_offset`` are in
        seconds.
    """
    by_kind = {kind.value: count for kind, count in report.by_kind.items()}
    listed = report.discrepancies[:at_most]
    finished_at = report.finished_at
    return {
        "run_id": report.run_id,
        "trigger": report.trigger.value,
        "scope": report.scope.name,
        "closed_since": report.scope.closed_since,
        "closed_until": report.scope.closed_until,
        "reach": report.reach,
        "dry_run": report.dry_run,
        "state": report.state.value,
        "started_at": report.started_at,
        "finished_at": finished_at,
        "duration": finished_at and (finished_at - report.started_at).total_seconds(),
        "as_of": report.as_of,
        "seen": report.seen,
        **{kind: by_kind.get(kind, 0) for kind in _KINDS},
        "repaired": report.repaired,
        "unresolved": report.unresolved,
        "rejected": report.rejected,
        "invalid_fields": [asdict(each) for each in report.invalid_fields],
        "requests": report.requests,
        "retries": report.retries,
        "error": report.error,
        "notes": report.notes,
        "clock_offset": report.clock_offset and report.clock_offset.total_seconds(),
        "discrepancies": [_plain(each) for each in listed],
        "discrepancies_omitted": len(report.discrepancies) - len(listed) + report.omitted,
    }


def _plain(discrepancy: Discrepancy) -> dict[str, object]:
    return {
        "position_id": discrepancy.position_id,
        "kind": discrepancy.kind.value,
        "resolution": discrepancy.resolution.value,
        "fields": [
            {
                "field": each.field,
                "store_value": each.store_value,
                "rest_value": each.rest_value,
            }
            for each in discrepancy.fields
        ],
    }
