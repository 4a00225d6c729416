#!/usr/bin/env bash
# aiohttp's WebSocket heartbeat takes a reader that is busy for a peer that is silent.
#
# Guess: `ws_connect(heartbeat=...)` closes a connection whose *peer* does not answer pings.
# Seen: aiohttp 3.14.5 stops reading from the socket once enough messages wait to be received. The
# pong then stays in the socket too, and 1.5 times the heartbeat later the healthy connection is
# closed, together with the messages that had arrived and were not received yet. Without a
# heartbeat the same reader gets all of them. Clients built on it (python-socketio with
# `websocket_extra_options={"heartbeat": ...}`) lose a burst while their handler waits for a disk.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install aiohttp==3.14.5

cat >held.py <<'PY'
import asyncio

import aiohttp
from aiohttp import web

MESSAGES = 20_000


async def burst(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)

    async def send() -> None:
        for number in range(MESSAGES):
            await socket.send_str(f"{number:01000}")

    sending = asyncio.ensure_future(send())
    async for _ in socket:  # answers pings
        pass
    sending.cancel()
    return socket


async def received(url: str, heartbeat: float | None) -> int:
    """Receive three messages, be busy for a while, and receive the rest."""
    count = 0
    async with aiohttp.ClientSession() as client:
        async with client.ws_connect(url, heartbeat=heartbeat) as socket:
            async for _ in socket:
                count += 1
                if count == 3:
                    await asyncio.sleep(3)
                if count == MESSAGES:
                    break
    return count


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", burst)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    for heartbeat in (None, 1.0):
        count = await received(url, heartbeat)
        print(f"aiohttp {aiohttp.__version__}, heartbeat {heartbeat}: "
              f"{'all' if count == MESSAGES else 'not all'} of {MESSAGES} messages received")
    await runner.cleanup()


asyncio.run(main())
PY
python/bin/python held.py | tee seen

diff - seen <<'SEEN' && echo "as described"
aiohttp 3.14.5, heartbeat None: all of 20000 messages received
aiohttp 3.14.5, heartbeat 1.0: not all of 20000 messages received
SEEN
