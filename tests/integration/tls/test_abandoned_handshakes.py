"""A client that is stopped within a TLS handshake leaves no connection open: real sockets."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from support.far_end import serving
from support.streams import settings_for
from support.waiting import DEADLINE

from positionstore.dimes.access import api_key_access
from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.rest import RestClient
from positionstore.model.facts import Source
from positionstore.settings import Settings


async def minted(settings: Settings) -> None:
    await credentials_for(settings, Source.CUSTOMER).handshake()


async def asked_over_rest(settings: Settings) -> None:
    assert settings.api_key is not None
    async with RestClient.of(settings) as client:
        await client.position(api_key_access(settings.api_key), "p")


@pytest.mark.parametrize("ask", [minted, asked_over_rest])
async def test_a_handshake_that_is_cancelled_leaves_no_connection_open(
    ask: Callable[[Settings], Coroutine[Any, Any, None]],
) -> None:
    left = asyncio.get_running_loop().create_future()

    async def never_answer(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await client.read(1)  # the handshake has begun
        asking.cancel()
        while await client.read(1 << 16):
            pass
        writer.close()
        left.set_result(None)

    async with serving(never_answer) as port:
        settings = settings_for(
            f"https://127.0.0.1:{port}",
            api_key="dm_sbx_skey_0123456789abcdef0123456789abcdef",
            wallet_address="0x" + "ab" * 20,
        )
        asking = asyncio.ensure_future(ask(settings))
        with suppress(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(DEADLINE):
            await left
