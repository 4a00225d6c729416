from datetime import UTC, datetime

import pytest

from positionstore.dimes.retrying import RetryBudget, retry_after

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DATE = "Wed, 01 Jul 2026 09:00:00 GMT"


class Watch:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def waits(patience: RetryBudget, watch: Watch, *, attempt: float = 0.0) -> list[float]:
    """Every wait until the end, each slept through, each attempt taking so long."""
    found: list[float] = []
    while (wait := patience.wait()) is not None:
        found.append(wait)
        watch.now += wait + attempt
        assert len(found) < 1000
    return found


def test_the_ceiling_of_the_waits_doubles_up_to_a_cap() -> None:
    watch = Watch()
    patience = RetryBudget(1e9, monotonic=watch, random=lambda: 1.0)
    found = [patience.wait() for _ in range(12)]
    assert found == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]


def test_a_wait_is_anything_from_zero_to_its_ceiling() -> None:
    draws = iter([0.0, 0.25, 0.75])
    patience = RetryBudget(1e9, monotonic=Watch(), random=lambda: next(draws))
    assert [patience.wait() for _ in range(3)] == [0, 0.25, 1.5]


@pytest.mark.parametrize("attempt", [0.0, 3.0, 500.0])
def test_it_ends_with_the_budget_which_the_attempts_spend_too(attempt: float) -> None:
    watch = Watch()
    patience = RetryBudget(120, monotonic=watch, random=lambda: 1.0)
    found = waits(patience, watch, attempt=attempt)
    assert 120 <= watch.now < 120 + attempt + 1e-6
    assert patience.attempts == len(found) + 1
    assert patience.spent == watch.now


def test_time_before_the_first_failure_is_not_spent() -> None:
    watch = Watch()
    patience = RetryBudget(10, monotonic=watch, random=lambda: 1.0)
    watch.now = 500
    assert patience.spent == 0
    assert patience.wait() == 0.5


def test_without_a_budget_nothing_is_tried_again() -> None:
    assert RetryBudget(0, monotonic=Watch(), random=lambda: 0.5).wait() is None


def test_what_the_server_asks_for_is_kept_and_the_jitter_comes_on_top() -> None:
    patience = RetryBudget(120, monotonic=Watch(), random=lambda: 0.5)
    assert patience.wait(7) == 7.25
    assert patience.wait(0) == 0.5


def test_a_server_that_asks_for_more_than_the_budget_ends_it_at_once() -> None:
    assert RetryBudget(120, monotonic=Watch(), random=lambda: 0.5).wait(120.5) is None


def test_an_asked_wait_within_the_budget_is_never_cut_below_what_was_asked() -> None:
    assert RetryBudget(120, monotonic=Watch(), random=lambda: 1.0).wait(119.9) == 120


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        (None, DATE, None),
        ("0", DATE, 0),
        ("120", DATE, 120),
        (" 7 ", DATE, 7),
        ("0.25", DATE, 0.25),
        ("Wed, 01 Jul 2026 09:00:30 GMT", DATE, 30),
        ("Wed, 01 Jul 2026 08:00:00 GMT", DATE, 0),
        ("Wed, 01 Jul 2026 12:00:10 GMT", None, 10),
        ("-3", DATE, None),
        ("soon", DATE, None),
        ("١٢", DATE, None),
        ("1e3", DATE, None),
        ("", DATE, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(
    header: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after(header, date=date, now=NOW) == seconds
