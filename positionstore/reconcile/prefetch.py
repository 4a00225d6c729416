"""The next page is had while this one is compared."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """An iterator that can be told to fetch its next item before it is asked for it; to be closed.

    An item, or the failure to have it, waits until it is asked for; no more than one does.

    Args:
        items: where they come from; None is none of them.
    """

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items
        self._next: asyncio.Task[T | None] | None = None
        self._closed = False

    def begin(self) -> None:
        """Begin to fetch the next item, unless that has begun."""
        if self._next is None and not self._closed:
            self._next = asyncio.create_task(self._fetch())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        self.begin()
        if self._next is None:
            raise StopAsyncIteration
        item = await self._next
        self._next = None
        if item is None:
            self._closed = True
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Fetch nothing more, and forget what was fetched in vain."""
        self._closed = True
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)

    async def _fetch(self) -> T | None:
        return await anext(self._items, None)
