"""The next page is fetched while this one is compared."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def prefetched(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield items, and fetch the next one meanwhile; to be closed.

    A failure to fetch it waits until it is asked for.

    Args:
        items: where they come from; None is none of them.
    """

    async def fetch() -> T | None:
        return await anext(items, None)

    following = asyncio.create_task(fetch())
    try:
        while (item := await following) is not None:
            following = asyncio.create_task(fetch())
            yield item
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
