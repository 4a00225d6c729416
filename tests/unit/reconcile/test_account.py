"""What a run says of itself, to machines and to people alike."""

from datetime import UTC, datetime

from positionstore.reconcile.report import RunReport, as_dict
from positionstore.reconcile.scope import Scope, Trigger


def run(errors: int) -> RunReport:
    made = RunReport(
        Trigger.COMMAND, Scope.full(), dry_run=False, started_at=datetime(2026, 7, 1, tzinfo=UTC)
    )
    made.errors = [f"Error {number}." for number in range(errors)]
    return made


def test_a_run_without_errors_says_none() -> None:
    assert run(0).error is None
    assert as_dict(run(0))["error"] is None


def test_of_many_errors_the_first_are_told_and_how_many_more_there_are() -> None:
    report = run(1_234 + RunReport.MOST_NAMED)

    assert as_dict(report)["error"] == report.error
    assert (report.error or "").startswith("Error 0.; Error 1.; ")
    assert (report.error or "").endswith("; and 1,234 more.")
