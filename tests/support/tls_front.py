"""A sandbox behind TLS, under a name of its own."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trustme

from positionstore.dimes.access import RestCredentials, api_key_access
from positionstore.sandbox import Options, Sandbox
from positionstore.settings import Settings
from support.far_end import serving
from support.streams import settings_for

HOST = "dimes.example"
"""Not the vendor's, and no loopback address; it leads to this machine."""


class Front:
    """TLS in front of a sandbox.

    Attributes:
        url: its address, by the name of :data:`HOST`.
        called: how many connections were begun.
        shown: how many of them came as far as to send anything.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.called = 0
        self.shown = 0
        self.url = ""

    async def serve(self, client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shown += 1
        behind, beyond = await asyncio.open_connection("127.0.0.1", self.sandbox.port)
        try:
            await asyncio.gather(_pass_on(client, beyond), _pass_on(behind, writer))
        finally:
            beyond.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


class _Counting(ssl.SSLContext):
    """A server's context that counts the handshakes that were begun."""

    front: Front

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        self.front.called += 1
        return super().wrap_bio(*arguments, **options)


@asynccontextmanager
async def fronted(authority: trustme.CA, name: str = HOST) -> AsyncIterator[Front]:
    """A sandbox behind TLS whose certificate is for a name."""
    options = Options(seed=7, ticking=False, partners=1, api_key_lists=True)
    async with Sandbox(options) as sandbox:
        front = Front(sandbox)
        context = _Counting(ssl.PROTOCOL_TLS_SERVER)
        context.front = front
        authority.issue_cert(name).configure_cert(context)
        async with serving(front.serve, tls=context) as port:
            front.url = f"https://{HOST}:{port}"
            yield front


def settings_of(front: Front, **values: object) -> Settings:
    return settings_for(
        front.url,
        api_key=front.sandbox.api_key,
        trusted_hosts=HOST,
        wallet_address=front.sandbox.wallets[0],
        **values,
    )


def access_of(settings: Settings) -> RestCredentials:
    assert settings.api_key is not None
    return api_key_access(settings.api_key)
