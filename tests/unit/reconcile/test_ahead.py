import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from positionstore.reconcile.prefetch import prefetched


class Source:
    """Yields numbers up to a failure, and remembers what it was asked for.

    Attributes:
        asked: how often it was asked for a number.
        cut_off: whether it was cancelled while it was asked.
    """

    def __init__(self, until: int, failure: Exception | None = None) -> None:
        self.asked = 0
        self.cut_off = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._until = until
        self._failure = failure

    async def numbers(self) -> AsyncIterator[int]:
        for number in range(self._until):
            self.asked += 1
            try:
                await self.may_answer.wait()
            except asyncio.CancelledError:
                self.cut_off = True
                raise
            yield number
        if self._failure is not None:
            self.asked += 1
            raise self._failure


async def in_peace() -> None:
    """Let everything that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_items_come_in_their_order() -> None:
    async with aclosing(prefetched(Source(5).numbers())) as ahead:
        assert [number async for number in ahead] == [0, 1, 2, 3, 4]
        assert [number async for number in ahead] == []


async def test_one_is_fetched_while_another_is_at_work_and_no_more() -> None:
    source = Source(5)
    async with aclosing(prefetched(source.numbers())) as ahead:
        await in_peace()
        assert source.asked == 0
        for number in range(3):
            assert await anext(ahead) == number
            await in_peace()
            assert source.asked == number + 2


async def test_a_failure_waits_until_its_item_is_asked_for() -> None:
    source = Source(1, ValueError("it is no number"))
    async with aclosing(prefetched(source.numbers())) as ahead:
        assert await anext(ahead) == 0
        await in_peace()
        assert source.asked == 2
        with pytest.raises(ValueError, match="it is no number"):
            await anext(ahead)


async def test_what_is_under_way_ends_when_it_is_closed() -> None:
    source = Source(5)
    ahead = prefetched(source.numbers())
    assert await anext(ahead) == 0
    source.may_answer.clear()
    await in_peace()
    await ahead.aclose()
    assert source.cut_off
    assert source.asked == 2


async def test_a_failure_that_nobody_asked_for_is_nobody_s() -> None:
    ahead = prefetched(Source(1, ValueError("it is no number")).numbers())
    assert await anext(ahead) == 0
    await in_peace()
    await ahead.aclose()
