"""The server's time, told from its answers, as far as they are believed."""

from datetime import UTC, datetime, timedelta

import pytest

from positionstore.dimes.clock_reading import ClockReading, age_of
from positionstore.reconcile.server_clock import TOLERANCE, ServerClock

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Ours:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


def test_before_the_first_answer_there_is_only_our_clock() -> None:
    clock = ServerClock(Ours())

    assert (clock.now(), clock.behind) == (NOON, timedelta())


@pytest.mark.parametrize("hours", [-3, 0, 3])
def test_the_server_s_time_goes_on_from_its_newest_answer(hours: int) -> None:
    ours, server = Ours(), NOON + timedelta(hours=hours)
    clock = ServerClock(ours)
    clock.note(server)
    clock.note(server - 20 * SECOND)  # a slow answer: it says nothing new
    ours.now += 5 * SECOND

    assert clock.now() == server + 5 * SECOND
    assert clock.behind == max(timedelta(hours=-hours), timedelta())


def test_a_clock_that_is_put_back_takes_the_server_s_time_nowhere() -> None:
    ours = Ours()
    clock = ServerClock(ours)
    clock.note(NOON)
    ours.now -= timedelta(hours=1)

    assert clock.now() == NOON


# --- which answers are believed ----------------------------------------------------------------

MINUTES = timedelta(minutes=1)


def reading(
    off: timedelta | None, *, sent_at: datetime = NOON, took: float = 0.5, age: float = 0.0
) -> ClockReading:
    """An answer of a server whose clock is ahead of ours by so much."""
    date = None if off is None else (sent_at + timedelta(seconds=took / 2) + off)
    return ClockReading(date and date.replace(microsecond=0), sent_at, took, age)


def judged(
    *offsets: timedelta, known: tuple[timedelta, ...] = ()
) -> tuple[list[bool], ServerClock]:
    clock = ServerClock(Ours(), known)
    return [clock.as_of(reading(each)) is not None for each in offsets], clock


@pytest.mark.parametrize(
    ("known", "offsets", "believed"),
    [
        ((), (0,), [True]),
        ((), (-180,), [True]),  # nobody knows better, and the past can do no harm
        ((), (180,), [False]),
        ((), (0, 10), [True, False]),
        ((), (-10, 0, 10), [True, True, False]),  # it agrees with our clock, at last
        ((), (-10, -20), [True, False]),  # it goes back
        ((0,), (0, 10, -10), [True, False, False]),
        ((0,), (10, 10, 10, 10), [False] * 4),
        ((0,), (-10, -10, -10), [False, False, True]),  # what is asked for again bears it out
        ((0,), (-10, 0, -10, -10), [False, True, False, False]),
        ((180,), (180, 0), [True, False]),
        ((180, 0), (0, 180), [True, True]),
        ((-180,), (0,), [True]),  # our clock was put right
    ],
)
def test_an_answer_is_believed_that_agrees_with_what_is_known(
    known: tuple[int, ...], offsets: tuple[int, ...], believed: list[bool]
) -> None:
    found, _ = judged(
        *[each * MINUTES for each in offsets], known=tuple(each * MINUTES for each in known)
    )

    assert found == believed


@pytest.mark.parametrize("took", [0.0, 0.5, 59.0])
@pytest.mark.parametrize("off", [-TOLERANCE / 2, timedelta(), TOLERANCE / 2])
def test_a_slow_answer_and_the_seconds_that_a_date_leaves_out_are_no_departure(
    took: float, off: timedelta
) -> None:
    clock = ServerClock(Ours(), [timedelta()])

    assert clock.as_of(reading(off, took=took)) is not None


@pytest.mark.parametrize("off", [-180, 0, 180])
def test_no_as_of_is_later_than_our_clock_or_the_server_s(off: int) -> None:
    clock = ServerClock(Ours(), [off * MINUTES])
    as_of = clock.as_of(reading(off * MINUTES))

    assert as_of is not None
    assert as_of <= NOON
    assert as_of <= NOON + off * MINUTES
    assert clock.ahead <= max(off * MINUTES, timedelta())


def test_without_a_date_it_is_our_clock_less_what_the_server_is_behind_it() -> None:
    behind, ahead = (ServerClock(Ours(), [each * MINUTES]) for each in (-10, 10))

    assert ServerClock(Ours()).as_of(reading(None)) == NOON
    assert behind.as_of(reading(None)) == NOON - 10 * MINUTES
    assert ahead.as_of(reading(None)) == NOON


def test_an_answer_from_a_cache_is_older_than_its_date_and_not_believed_when_it_is_old() -> None:
    clock = ServerClock(Ours())
    young, old = reading(timedelta(), age=5), reading(timedelta(), age=600)

    assert clock.as_of(young) == young.as_of < reading(timedelta()).as_of
    assert clock.as_of(old) is None
    assert [age_of(each) for each in (None, "", "600", "-1", "soon", "9" * 400)] == [
        0,
        0,
        600,
        0,
        0,
        0,
    ]


def test_later_runs_learn_where_all_answers_agree_and_not_where_they_do_not() -> None:
    _, steady = judged(10 * MINUTES, 10 * MINUTES)
    _, jumping = judged(10 * MINUTES, 20 * MINUTES)
    _, right = judged(timedelta(), 10 * MINUTES)

    assert steady.learnt is not None
    assert abs(steady.learnt - 10 * MINUTES) < TOLERANCE
    assert jumping.learnt is None
    assert right.learnt is not None
    assert abs(right.learnt) < TOLERANCE
    assert ServerClock(Ours()).learnt is None


def test_a_clock_that_stands_still_is_behind_ever_further() -> None:
    clock = ServerClock(Ours(), [timedelta()])
    readings = [ClockReading(NOON, NOON + number * 8 * SECOND, 0.5) for number in range(9)]
    minutes_later = ClockReading(NOON, NOON + 5 * MINUTES, 0.5)

    assert [clock.as_of(each) is not None for each in [*readings, minutes_later]] == [True] * 10
    assert clock.complaint is None


def test_what_was_believed_of_a_cache_is_doubtful_once_an_answer_is_new() -> None:
    _, clock = judged(-10 * MINUTES, timedelta())

    assert clock.complaint is not None
    assert "10 minutes behind" in clock.complaint


def test_one_line_names_both_clocks() -> None:
    _, clock = judged(timedelta(), 7_000_000 * MINUTES)
    assert clock.complaint is None  # another answer was believed in its place
    clock.doubtful = 2

    assert clock.complaint == (
        "2 answers of the API had a doubtful Date: its clock said 2039-10-22 14:40:00 UTC when "
        "ours said 2026-07-01 12:00:00 UTC, 4,861 days ahead, where level with ours was expected; "
        "nothing was appended on that. Check this machine's clock; if it is right, the API's is "
        "wrong."
    )


@pytest.mark.parametrize("year", [1, 9999])
def test_the_first_and_the_last_year_raise_nothing(year: int) -> None:
    date = datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, tzinfo=UTC)
    clock = ServerClock(Ours(), [timedelta()])

    assert clock.as_of(ClockReading(date, NOON, 0.5)) is None
    assert ClockReading(date, NOON, 0.5).as_of <= NOON
