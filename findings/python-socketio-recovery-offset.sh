#!/usr/bin/env bash
# python-socketio hands the offset of connection state recovery to event handlers.
#
# Guess: the offset that a Socket.IO server with `connectionStateRecovery` adds behind an event's
# arguments belongs to the protocol, and a client library keeps it from the application.
# Seen: python-socketio 5.18.1 calls `handler(envelope, offset)`. A handler that takes the
# documented one argument is called with two and raises TypeError: switching the option on at the
# server breaks every such client, and nothing at the client tells why. The official JavaScript
# client passes the offset on too, where a listener with one parameter does not notice.
#
# Needs bash, Python 3.11 or newer and Node.js with npm. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install python-socketio==5.18.1 aiohttp==3.14.5
npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4

cat >server.mjs <<'JS'
import { createServer } from "node:http";
import { Server } from "socket.io";
const http = createServer();
const io = new Server(http, { connectionStateRecovery: { maxDisconnectionDuration: 120000 } });
io.on("connection", (socket) => socket.emit("opened", { id: "evt_1" }));
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
JS

cat >client.mjs <<'JS'
import { io } from "socket.io-client";
const socket = io(`http://127.0.0.1:${process.argv[2]}`, { transports: ["websocket"] });
socket.on("opened", (...args) => {
  console.log(`socket.io-client 4.8.4: ${args.length} arguments, the last a ${typeof args.at(-1)}`);
  process.exit(0);
});
JS

cat >client.py <<'PY'
import asyncio
import sys
from importlib.metadata import version

import socketio


async def main() -> None:
    client = socketio.AsyncClient(reconnection=False)
    called: asyncio.Future[tuple[object, ...]] = asyncio.get_running_loop().create_future()

    @client.on("opened")
    async def opened(*arguments: object) -> None:
        called.set_result(arguments)

    def documented(envelope: object) -> None:
        """A handler as the documentation has it."""

    await client.connect(f"http://127.0.0.1:{sys.argv[1]}", transports=["websocket"])
    arguments = await asyncio.wait_for(called, 10)
    await client.disconnect()
    try:
        documented(*arguments)
        outcome = "no error"
    except TypeError:
        outcome = "TypeError"
    kinds = ", ".join(type(each).__name__ for each in arguments)
    print(f"python-socketio {version('python-socketio')}: handler called with ({kinds}); "
          f"one that takes one argument: {outcome}")


asyncio.run(main())
PY

node server.mjs >port &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
until [ -s port ]; do sleep 0.1; done

node client.mjs "$(cat port)" | tee seen
python/bin/python client.py "$(cat port)" | tee -a seen

diff - seen <<'SEEN' && echo "as described"
socket.io-client 4.8.4: 2 arguments, the last a string
python-socketio 5.18.1: handler called with (dict, str); one that takes one argument: TypeError
SEEN
