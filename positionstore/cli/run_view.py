"""The display of a reconciliation."""

from collections.abc import Iterator
from typing import Final

from positionstore.cli.console import Show, print_line, print_table
from positionstore.health import words
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import Discrepancy, Resolution, RunReport, RunState

_MOST_ROWS: Final = 50
_MOST_FIELDS: Final = 3
_MOST_ERRORS: Final = 10
_LONGEST: Final = 40
_LONGEST_REASON: Final = 200
_URGENT: Final = (Resolution.UNRESOLVED, Resolution.IN_FLUX, Resolution.REPAIRED)


def show_run(show: Show, report: RunReport) -> None:
    """Show the progress of a run; the total is not known in advance."""
    found = report.repaired + report.unresolved
    note = f"{found:,} differ, {report.requests:,} requests"
    show(report.seen, None, note + settling(report.settling))


def settling(count: int) -> str:
    """Show what a run waits for; it may take minutes."""
    return f", waiting for {count:,} to settle" if count else ""


def print_run(report: RunReport) -> None:
    """Print the differences and what was done about them; the rest of a long list is counted."""
    _print_discrepancies(report)
    for described in words.invalid_fields(report.invalid_fields):
        print_line(f"Invalid field, NULL in the store: {described}.")
    for error in report.errors[:_MOST_ERRORS]:
        print_line(error)
    if (more := len(report.errors) - _MOST_ERRORS) > 0:
        print_line(f"And {more:,} more errors.")
    for note in report.notes:
        print_line(note)
    print_line(" ".join(_summary(report)))


def _print_discrepancies(report: RunReport) -> None:
    if not report.discrepancies:
        return
    first = sorted(report.discrepancies, key=lambda each: _URGENT.index(each.resolution))
    print_table(
        ("position_id", "kind", "resolution", "store → REST"),
        [
            (each.position_id, each.kind, _shown(each, report), _fields(each))
            for each in first[:_MOST_ROWS]
        ],
    )
    if (more := len(first) + report.omitted - _MOST_ROWS) > 0:
        rest = "." if report.dry_run else "; the table discrepancies has all of them."
        print_line(f"And {more:,} more{rest}")


def _shown(discrepancy: Discrepancy, report: RunReport) -> str:
    if report.dry_run and discrepancy.resolution is Resolution.UNRESOLVED:
        return "not repaired"
    return discrepancy.resolution.replace("_", " ")


def _fields(discrepancy: Discrepancy) -> str:
    if discrepancy.kind is DiscrepancyKind.UNREADABLE:  # no fields but one: why it cannot be read
        return ", ".join(each.rest_value or "" for each in discrepancy.fields)[:_LONGEST_REASON]
    shown = [
        f"{each.field}: {_short(each.store_value)} → {_short(each.rest_value)}"
        for each in discrepancy.fields[:_MOST_FIELDS]
    ]
    if (more := len(discrepancy.fields) - _MOST_FIELDS) > 0:
        shown.append(f"{more} more fields" if more > 1 else "1 more field")
    return ", ".join(shown)


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _summary(report: RunReport) -> Iterator[str]:
    """Return a few sentences on how the run ended."""
    run = "The dry run" if report.dry_run else f"Run {report.run_id}"
    seen, requests = f"{report.seen:,} positions seen", f"{report.requests:,} requests"
    yield f"{run} is {report.state}: {seen} with {requests}."
    if report.reach == "wallets":
        yield (
            "It listed wallet by wallet; one that neither the log, the credentials nor "
            "POSITIONSTORE_WALLETS name was left out."
        )
    found = sum(report.by_kind.values())
    if not found:
        if report.state is not RunState.FAILED:
            yield "Nothing differed."
        return
    kinds = ", ".join(
        f"{count:,} {kind.replace('_', ' ')}" for kind, count in sorted(report.by_kind.items())
    )
    yield f"{found:,} differed ({kinds}):"
    if report.dry_run:
        yield "nothing was written."
        return
    yield f"{report.repaired:,} repaired, {report.unresolved:,} not."
    if in_flux := report.by_resolution[Resolution.IN_FLUX]:
        yield f"{in_flux:,} of them changed too lately to be judged; the next run will."
