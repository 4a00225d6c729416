import asyncio

import pytest
from support.rest_doubles import Time
from support.waiting import DEADLINE

from positionstore.dimes.http import Throttle


def throttle(time: Time, *, concurrency: int = 100, per_second: float = 10.0) -> Throttle:
    return Throttle(
        concurrency=concurrency, per_second=per_second, monotonic=time.monotonic, sleep=time.sleep
    )


async def test_requests_begin_evenly_spaced() -> None:
    time = Time()
    turns, begun = throttle(time, per_second=4), []
    for _ in range(5):
        async with turns.turn():
            begun.append(time.now)
    assert begun == [1000, 1000.25, 1000.5, 1000.75, 1001]


async def test_time_that_passed_unused_is_not_saved_up_for_a_burst() -> None:
    time = Time()
    turns, begun = throttle(time, per_second=4), []
    time.now += 60
    for _ in range(3):
        async with turns.turn():
            begun.append(time.now)
    assert begun == [1060, 1060.25, 1060.5]


async def test_no_more_are_under_way_than_allowed() -> None:
    time = Time()
    turns = throttle(time, concurrency=3, per_second=1e9)
    under_way, most, done = 0, 0, 0

    async def request() -> None:
        nonlocal under_way, most, done
        async with turns.turn():
            under_way += 1
            most = max(most, under_way)
            for _ in range(5):
                await asyncio.sleep(0)
            under_way -= 1
            done += 1

    await asyncio.gather(*(request() for _ in range(20)))
    assert (most, done) == (3, 20)


async def test_a_failed_request_gives_its_turn_back() -> None:
    turns = throttle(Time(), concurrency=1)
    for _ in range(3):
        with pytest.raises(LookupError):
            async with turns.turn():
                raise LookupError
    async with asyncio.timeout(DEADLINE), turns.turn():
        pass


async def test_nobody_begins_while_it_is_held() -> None:
    time = Time()
    turns = throttle(time)
    turns.hold(30)
    turns.hold(5)
    async with turns.turn():
        assert time.now == 1030
