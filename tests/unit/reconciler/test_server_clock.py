"""The server's time, told from its answers, whatever ours says."""

from datetime import UTC, datetime, timedelta

import pytest

from positionstore.reconciler.server_clock import ServerClock

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
