"""Which run is due when; time passes only where a test says so."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.reconcile.scope import Trigger
from positionstore.service.schedule import Schedule

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
EVERY = 300.0


class Day:
    """A timetable and its clocks."""

    def __init__(
        self,
        *,
        now: datetime = NOON,
        full_pass_at: time = time(3, 30),
        draw: float = 0.5,
        every: float = EVERY,
    ) -> None:
        self.now = now
        self.passed = 1000.0
        self.draw = draw
        self.timetable = Schedule(
            every=every,
            full_pass_at=full_pass_at,
            random=lambda: self.draw,
            monotonic=lambda: self.passed,
            clock=lambda: self.now,
        )

    def wait(self, seconds: float) -> None:
        self.passed += seconds
        self.now += timedelta(seconds=seconds)

    def do(self, *, again: bool = False, partial: bool = False) -> Trigger | None:
        """Take what is due, and end it at once."""
        trigger = self.timetable.take()
        if trigger is not None:
            self.timetable.ended(trigger, again=again, partial=partial)
        return trigger


def test_nothing_is_due_before_the_first_connection_or_turn() -> None:
    day = Day()

    assert day.do() is None
    assert day.timetable.wait() == EVERY


def test_a_connection_is_followed_by_a_run_at_once() -> None:
    day = Day()
    day.timetable.connected()

    assert day.timetable.wait() == 0
    assert day.do() is Trigger.CONNECTED
    assert day.do() is None


def test_many_connections_during_a_run_are_followed_by_one_more() -> None:
    day = Day()
    day.timetable.connected()
    under_way = day.timetable.take()
    for _ in range(5):
        day.timetable.connected()
    assert under_way is Trigger.CONNECTED
    day.timetable.ended(under_way, again=False)

    assert [day.do(), day.do()] == [Trigger.CONNECTED, None]


@pytest.mark.parametrize(("draw", "factor"), [(0.0, 0.9), (0.5, 1.0), (1.0, 1.1)])
def test_periodic_turns_vary_by_a_tenth(draw: float, factor: float) -> None:
    day = Day(draw=draw)

    for _ in range(3):
        assert day.timetable.wait() == pytest.approx(EVERY * factor)
        day.wait(EVERY * factor + 0.001)
        assert day.do() is Trigger.PERIODIC


def test_the_next_turn_counts_from_the_end_of_a_run() -> None:
    day = Day()
    day.wait(EVERY)
    trigger = day.timetable.take()
    day.wait(4000)  # a run that takes its time
    assert trigger is Trigger.PERIODIC
    day.timetable.ended(trigger, again=False)

    assert day.do() is None
    assert day.timetable.wait() == EVERY


def test_a_full_pass_once_a_day_at_its_time() -> None:
    day = Day(every=float("inf"))
    passes = []
    for _ in range(4 * 24 * 60):
        day.wait(60)
        if day.do() is Trigger.DAILY:
            passes.append(day.now)

    assert [(at.day, at.time()) for at in passes] == [(n, time(3, 30)) for n in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 7, 1, 3, 29, tzinfo=UTC), 1 / 60),
        (datetime(2026, 7, 1, 3, 30, tzinfo=UTC), 24.0),
        (datetime(2026, 7, 1, 23, 30, tzinfo=UTC), 4.0),
        (datetime.fromisoformat("2026-07-01T01:30:00-04:00"), 22.0),
    ],
)
def test_the_first_full_pass_is_the_next_one(now: datetime, hours: float) -> None:
    assert Day(now=now, every=1e9).timetable.wait() == pytest.approx(hours * 3600)


def test_the_full_pass_does_what_a_connection_asked_for() -> None:
    day = Day()
    day.timetable.connected()
    day.wait(24 * 3600)

    assert [day.do(), day.do()] == [Trigger.DAILY, None]


def test_after_days_asleep_one_full_pass_is_due() -> None:
    day = Day()
    day.wait(5 * 86_400)

    assert [day.do(), day.do()] == [Trigger.DAILY, None]


def test_a_clock_that_was_a_year_ahead_for_a_moment_puts_no_full_pass_off() -> None:
    day = Day()
    day.now += timedelta(days=365)
    assert day.do() is Trigger.DAILY
    day.now -= timedelta(days=365)
    day.wait(EVERY)
    assert day.do() is Trigger.PERIODIC

    day.wait(24 * 3600)

    assert day.do() is Trigger.DAILY


@pytest.mark.parametrize("trigger", [Trigger.CONNECTED, Trigger.DAILY])
def test_what_came_to_nothing_is_tried_again_at_the_next_turn(trigger: Trigger) -> None:
    day = Day()
    if trigger is Trigger.CONNECTED:
        day.timetable.connected()
    else:
        day.wait(24 * 3600)

    assert day.do(again=True) is trigger
    assert day.do() is None
    assert day.timetable.wait() == EVERY
    day.wait(EVERY)
    assert [day.do(), day.do()] == [trigger, None]
    day.wait(EVERY)
    assert day.do() is Trigger.PERIODIC


def test_a_full_pass_that_failed_is_not_forgotten_over_runs_that_succeed() -> None:
    day = Day()
    day.wait(24 * 3600)
    assert day.do(again=True) is Trigger.DAILY
    done = []
    for _ in range(10):  # the gateway comes and goes more often than there are turns
        day.wait(EVERY / 2)
        day.timetable.connected()
        done.append(day.do())

    assert done.count(Trigger.DAILY) == 1
    assert done[1] is Trigger.DAILY


@given(
    st.lists(st.one_of(st.just("connect"), st.floats(0, 100_000), st.booleans()), max_size=60),
    st.floats(0, 1),
)
def test_whatever_happens_somebody_reconciles_within_a_turn(
    history: list[object], draw: float
) -> None:
    day = Day(draw=draw)
    for what in history:
        if what == "connect":
            day.timetable.connected()
        elif isinstance(what, bool):
            day.do(again=what)
        elif isinstance(what, float):
            day.wait(what)

    wait = day.timetable.wait()
    assert 0 <= wait <= EVERY * 1.1 + 0.001
    day.wait(wait + 0.001)
    assert day.do() is not None


def test_a_full_pass_that_did_not_see_all_is_done_again_ever_more_seldom() -> None:
    day = Day(now=datetime(2026, 7, 1, 3, 30, tzinfo=UTC) - timedelta(seconds=1))
    day.wait(1)
    began, passes = day.passed, []
    while day.passed < began + 16 * EVERY:
        if day.do(partial=True) is Trigger.DAILY:
            passes.append((day.passed - began) / EVERY)
        assert day.timetable.wait() > 0
        day.wait(day.timetable.wait())

    assert passes == [0, 1, 3, 7, 15]


def test_one_that_saw_all_ends_that_and_another_day_begins_anew() -> None:
    day = Day(now=datetime(2026, 7, 1, 3, 29, 59, tzinfo=UTC))
    day.wait(1)
    assert day.do(partial=True) is Trigger.DAILY
    day.wait(EVERY)
    assert day.do(partial=True) is Trigger.DAILY
    day.wait(EVERY)
    assert day.do() is Trigger.PERIODIC
    day.wait(EVERY)
    assert day.do() is Trigger.DAILY
    for _ in range(20):
        day.wait(EVERY)
        assert day.do() is Trigger.PERIODIC
    day.wait(86_400 - 23 * EVERY)
    assert day.do(partial=True) is Trigger.DAILY
    day.wait(EVERY)
    assert day.do() is Trigger.DAILY


def test_a_periodic_run_that_did_not_see_all_is_no_full_pass() -> None:
    day = Day()
    for _ in range(3):
        day.wait(EVERY)
        assert day.do(partial=True) is Trigger.PERIODIC
