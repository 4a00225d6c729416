"""The thread that does what waits."""

import asyncio
import threading

import pytest
from support.waiting import DEADLINE

from positionstore.ingest.worker import Worker


async def test_it_does_one_thing_after_another_in_a_thread_of_its_own() -> None:
    worker, done = Worker("test"), list[int]()

    def do(number: int) -> str:
        done.append(number)
        return threading.current_thread().name

    names = await asyncio.gather(*(worker.run(do, number) for number in range(100)))
    assert done == list(range(100))
    assert set(names) == {"test"}
    worker.close()


async def test_what_it_raises_is_raised_where_it_is_awaited() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 1) == 1
    worker.close()


async def test_who_waits_can_leave_and_what_has_not_begun_is_not_done() -> None:
    worker, begun, go_on, done = Worker("test"), threading.Event(), threading.Event(), list[int]()

    def wait() -> None:
        begun.set()
        go_on.wait(DEADLINE)
        done.append(1)

    first = asyncio.ensure_future(worker.run(wait))
    second = asyncio.ensure_future(worker.run(done.append, 2))
    await asyncio.sleep(0)
    assert begun.wait(DEADLINE)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    go_on.set()
    await worker.run(done.append, 3)
    assert done == [1, 3]
    worker.close()
