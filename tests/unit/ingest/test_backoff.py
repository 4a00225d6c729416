from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.ingest.backoff import Backoff


def backoff(*, draws: float = 1.0, base: float = 0.5, cap: float = 30.0) -> Backoff:
    numbers = repeat(draws)
    return Backoff(base=base, cap=cap, random=lambda: next(numbers))


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    policy = backoff()
    assert [policy.draw() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert policy.attempts == 9


def test_the_whole_span_below_the_ceiling_is_drawn_from() -> None:
    assert backoff(draws=0.0).draw() == 0.0
    policy = backoff(draws=0.25)
    assert [policy.draw() for _ in range(3)] == [0.125, 0.25, 0.5]


def test_a_success_that_lasted_begins_anew() -> None:
    policy = backoff()
    policy.draw()
    policy.draw()
    policy.succeeded(lasted=2.0)
    assert policy.draw() == 0.5


def test_a_success_that_ended_at_once_is_none() -> None:
    policy = backoff()
    policy.draw()
    policy.draw()
    policy.succeeded(lasted=1.9)
    assert policy.draw() == 2.0


def test_a_cap_below_the_base_is_kept() -> None:
    assert backoff(base=5.0, cap=0.1).draw() == pytest.approx(0.1)


@given(attempts=st.integers(0, 3000), cap=st.floats(0.001, 1e6))
def test_no_wait_exceeds_the_cap_however_long_it_goes_on(attempts: int, cap: float) -> None:
    policy = backoff(cap=cap)
    policy._attempts = attempts
    assert 0 < policy.draw() <= cap
