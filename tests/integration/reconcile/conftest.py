"""A sandbox beside a fresh store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from support.reconciling import Desk

from positionstore.sandbox import Options, Sandbox
from positionstore.store.database import Store

Opened = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk_of(store_url: str) -> Opened:
    """Opens a desk: ``async with desk_of(api_key_lists=True) as desk``; takes sandbox options."""

    @asynccontextmanager
    async def opened(**options: object) -> AsyncIterator[Desk]:
        given: dict[str, object] = {
            "seed": 7,
            "ticking": False,
            "positions": 40,
            "wallets": 3,
            "api_key_lists": True,
            **options,
        }
        async with Sandbox(Options(**given)) as serving:  # type: ignore[arg-type] # by name
            yield Desk(serving, Store(store_url, embedded=False))

    return opened
