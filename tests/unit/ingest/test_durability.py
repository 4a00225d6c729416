"""How far reading runs ahead of the disk."""

import asyncio

from support.waiting import DEADLINE

from positionstore.ingest.durability import DurabilityBarrier


async def settled(task: "asyncio.Task[None]") -> bool:
    """Let the loop do all it has to do, and say whether a task is done."""
    for _ in range(10):
        await asyncio.sleep(0)
    return task.done()


async def test_reading_goes_on_while_the_disk_is_at_work() -> None:
    barrier = DurabilityBarrier(3)
    for _ in range(2):
        barrier.read()
        await asyncio.wait_for(barrier.room(), DEADLINE)


async def test_at_the_bound_reading_waits_until_there_is_room() -> None:
    barrier = DurabilityBarrier(3)
    for _ in range(3):
        barrier.read()
    waiting = asyncio.ensure_future(barrier.room())
    assert not await settled(waiting)
    barrier.safe(1)
    await asyncio.wait_for(waiting, DEADLINE)


async def test_a_ping_is_answered_when_all_before_it_is_on_the_disk() -> None:
    barrier = DurabilityBarrier(100)
    for _ in range(3):
        barrier.read()
    waiting = asyncio.ensure_future(barrier.before_ping())
    barrier.safe(2)
    assert not await settled(waiting)
    barrier.safe(3)
    await asyncio.wait_for(waiting, DEADLINE)
    await asyncio.wait_for(barrier.before_ping(), DEADLINE)


async def test_a_ping_is_answered_though_the_disk_stands_still() -> None:
    barrier = DurabilityBarrier(100, ping_wait=0)
    barrier.read()
    await asyncio.wait_for(barrier.before_ping(), DEADLINE)


async def test_a_later_count_lets_all_go_on_who_wait_for_less() -> None:
    barrier = DurabilityBarrier(1)
    barrier.read()
    first = asyncio.ensure_future(barrier.room())
    assert not await settled(first)
    barrier.read()
    second = asyncio.ensure_future(barrier.room())
    barrier.safe(2)
    await asyncio.wait_for(asyncio.gather(first, second), DEADLINE)
