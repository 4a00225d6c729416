"""Which positions a run walks."""

from datetime import UTC, datetime, timedelta

from positionstore.reconcile.scope import MARGIN, Scope

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def recent(
    complete: datetime | None = None,
    gap: datetime | None = None,
    begins: datetime | None = None,
) -> datetime | None:
    return Scope.recent(
        now=NOON, last_complete_run=complete, oldest_unrepaired_gap=gap, coverage_begins=begins
    ).closed_since


def test_a_recent_run_goes_back_to_the_last_complete_one_less_a_margin() -> None:
    assert recent(complete=NOON - HOUR, begins=NOON - 9 * HOUR) == NOON - HOUR - MARGIN


def test_a_gap_that_nothing_has_repaired_takes_it_further_back() -> None:
    assert recent(complete=NOON - HOUR, gap=NOON - 2 * HOUR) == NOON - 2 * HOUR - MARGIN
    assert recent(complete=NOON - 3 * HOUR, gap=NOON - 2 * HOUR) == NOON - 3 * HOUR - MARGIN


def test_the_first_run_goes_back_to_where_the_stream_began() -> None:
    assert recent(begins=NOON - 5 * HOUR) == NOON - 5 * HOUR - MARGIN


def test_a_store_that_never_heard_anything_begins_now() -> None:
    assert recent() == NOON - MARGIN


def test_what_a_clock_that_was_ahead_has_recorded_takes_it_no_further_than_now() -> None:
    assert recent(complete=NOON + HOUR, begins=NOON - 9 * HOUR) == NOON - MARGIN
    assert recent(begins=NOON + HOUR) == NOON - MARGIN


def test_a_window_has_a_margin_on_both_sides() -> None:
    scope = Scope.window(NOON - HOUR, NOON)
    assert (scope.closed_since, scope.closed_until) == (NOON - HOUR - MARGIN, NOON + MARGIN)
    assert Scope.window(None, None) == Scope("window")


def test_a_full_run_has_no_bounds() -> None:
    assert (Scope.full().closed_since, Scope.full().closed_until) == (None, None)
