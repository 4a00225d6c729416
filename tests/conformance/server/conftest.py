"""The official Socket.IO server for every test in this folder."""

from collections.abc import AsyncIterator

import pytest
from support.official_server import OfficialServer, Serve, start


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start the official server with options."""
    servers: list[OfficialServer] = []

    async def serve(**options: object) -> OfficialServer:
        servers.append(await start(**options))
        return servers[-1]

    yield serve
    for server in servers:
        await server.close()
