"""What a run found and did."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.store.invalid_fields import InvalidField
from positionstore.store.runs import FieldDifference

EXIT_CLEAN, EXIT_FAILED, EXIT_DIFFERENT = 0, 1, 3


class Resolution(StrEnum):
    """What became of a discrepancy.

    ``REPAIRED``: a snapshot was appended and now stands. ``UNRESOLVED``: it still differs.
    ``IN_FLUX``: it changed too lately for anyone to say who is behind; the next run will.
    """

    REPAIRED = "repaired"
    UNRESOLVED = "unresolved"
    IN_FLUX = "in_flux"


class RunState(StrEnum):
    """How a run ended: all of its scope seen, some of it hidden, or nothing seen or believed."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A position that differs between the store and ``GET /positions``."""

    position_id: str
    kind: DiscrepancyKind
    fields: tuple[FieldDifference, ...]
    resolution: Resolution


@dataclass(slots=True)
class RunReport:
    """A run, while it goes on and when it has ended. Times are UTC.

    Attributes:
        run_id: its number in ``reconciliation_runs``; None for a dry run.
        trigger: what started it.
        scope: which positions it walks.
        dry_run: whether it only reports.
        started_at: when it began, by our clock.
        finished_at: when it ended, by our clock.
        as_of: the earliest as-of of its responses, by the server's clock.
        reach: ``partner``, or ``wallets`` where each was listed with a token of its own.
        seen: positions that ``GET /positions`` showed.
        rejected: items of its answers that are no position.
        discrepancies: what differed.
        omitted: how many more differed than are listed here.
        requests: HTTP requests made, retries included.
        retries: of these, repetitions.
        errors: what it did not see, and why.
        invalid_fields: fields of positions whose value is not of their kind, as it stands in the
            store when the run has ended; their columns are NULL.
        notes: what else a person has to do something about.
        clock_offset: how far the server's clock is ahead of ours; None where its answers do not
            agree on it.
        refused: whether the vendor refused the credentials.
        settling: how many positions in flux are being waited for just now.
        state: how it ended.
    """

    trigger: Trigger
    scope: Scope
    dry_run: bool
    started_at: datetime
    run_id: int | None = None
    finished_at: datetime | None = None
    as_of: datetime | None = None
    reach: str | None = None
    seen: int = 0
    rejected: int = 0
    discrepancies: list[Discrepancy] = field(default_factory=list)
    omitted: int = 0
    by_kind: Counter[DiscrepancyKind] = field(default_factory=Counter)
    by_resolution: Counter[Resolution] = field(default_factory=Counter)
    requests: int = 0
    retries: int = 0
    errors: list[str] = field(default_factory=list)
    invalid_fields: Sequence[InvalidField] = ()
    notes: list[str] = field(default_factory=list)
    clock_offset: timedelta | None = None
    refused: bool = False
    settling: int = 0
    state: RunState = RunState.FAILED

    LISTED = 10_000
    MOST_NAMED = 20

    def add(self, discrepancy: Discrepancy) -> None:
        """Count a discrepancy, and list it unless there are very many."""
        self.by_kind[discrepancy.kind] += 1
        self.by_resolution[discrepancy.resolution] += 1
        if len(self.discrepancies) < self.LISTED:
            self.discrepancies.append(discrepancy)
        else:
            self.omitted += 1

    def note_as_of(self, as_of: datetime) -> None:
        """Take note of the as-of of an answer; the earliest counts."""
        self.as_of = as_of if self.as_of is None else min(self.as_of, as_of)

    def end(self) -> None:
        """Judge how it ended: by whether it saw anything, and whether an error hid something."""
        if not self.errors:
            self.state = RunState.COMPLETE
        else:
            self.state = RunState.PARTIAL if self.seen else RunState.FAILED

    @property
    def error(self) -> str | None:
        """What it did not see, and why, in one line; the first of them where there are many."""
        named = self.errors[: self.MOST_NAMED]
        if (more := len(self.errors) - self.MOST_NAMED) > 0:
            named.append(f"and {more:,} more.")
        return "; ".join(named) or None

    @property
    def repaired(self) -> int:
        """Positions that were repaired."""
        return self.by_resolution[Resolution.REPAIRED]

    @property
    def unresolved(self) -> int:
        """Positions that still differ."""
        return self.by_resolution[Resolution.UNRESOLVED] + self.by_resolution[Resolution.IN_FLUX]

    @property
    def exit_code(self) -> int:
        """0: all is well; 3: differences remain, or fields are invalid; 1: failed or partial."""
        if self.state is not RunState.COMPLETE:
            return EXIT_FAILED
        return EXIT_DIFFERENT if self.unresolved or self.invalid_fields else EXIT_CLEAN


MOST_LISTED: Final = 1_000
"""How many discrepancies an account lists; the table ``discrepancies`` has all of them."""

_KINDS: Final = ("missing", "stale", "divergent", "absent_upstream", "unreadable")


def as_dict(report: RunReport, *, at_most: int = MOST_LISTED) -> dict[str, object]:
    """Return the columns of ``reconciliation_runs``, and the discrepancies; moments stay such.

    Args:
        report: the run.
        at_most: how many discrepancies are listed; ``discrepancies_omitted`` counts the others.

    Returns:
        Of a dry run ``run_id`` is None. ``duration`` and ``clock_offset`` are in seconds, as
        ``duration_seconds`` and ``clock_offset_seconds`` say too.
    """
    by_kind = {kind.value: count for kind, count in report.by_kind.items()}
    listed = report.discrepancies[:at_most]
    finished_at = report.finished_at
    duration = finished_at and (finished_at - report.started_at).total_seconds()
    clock_offset = report.clock_offset and report.clock_offset.total_seconds()
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
        "duration": duration,
        "duration_seconds": duration,
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
        "clock_offset": clock_offset,
        "clock_offset_seconds": clock_offset,
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
