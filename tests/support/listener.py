"""A plain Socket.IO client of the sandbox that waits as long as a busy machine needs."""

from collections.abc import Mapping

import socketio

from positionstore.sandbox import Sandbox
from positionstore.sandbox.gateway import PARTNER_NAMESPACE
from support.waiting import DEADLINE


async def connect(
    client: socketio.AsyncClient,
    sandbox: Sandbox,
    *,
    namespace: str = PARTNER_NAMESPACE,
    auth: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    transports: tuple[str, ...] = ("websocket",),
) -> None:
    """Connect to one namespace; the library's own deadline of one second is luck under load."""
    await client.connect(
        sandbox.url,
        namespaces=[namespace],
        auth=dict(auth or {"apiKey": sandbox.api_key}),
        headers=dict(headers or {}),
        transports=list(transports),
        wait_timeout=DEADLINE,
    )
