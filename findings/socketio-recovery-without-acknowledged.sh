#!/usr/bin/env bash
# A recovered Socket.IO session lacks the events that asked for an acknowledgement.
#
# Guess: a client whose socket.recovered is true has missed nothing but volatile events; an event that
# asks for an acknowledgement is the safer kind, and its sender learns of each client that it missed.
# Seen: with socket.io and socket.io-client 4.8.4 the in-memory adapter keeps no event that asks for an
# acknowledgement. A client that was away for half a second recovers, gets what was sent plainly before
# and after, and never gets the one between; socket.recovered is true on both sides. The sender that
# addressed the socket gets "operation has timed out". The one that addressed its room gets no error
# and an empty list of answers, as if nobody had been meant.
#
# Needs bash and Node.js with npm. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4

cat >seen.mjs <<'JS'
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Server } from "socket.io";
import { io } from "socket.io-client";

const version = (name) => createRequire(import.meta.url)(`${name}/package.json`).version;
console.log(`socket.io ${version("socket.io")} socket.io-client ${version("socket.io-client")}`);

const http = createServer();
const server = new Server(http, { connectionStateRecovery: { maxDisconnectionDuration: 120000 } });
await new Promise((listening) => http.listen(0, "127.0.0.1", listening));

async function follow(name, send) {
  const opened = once(server, "connection");
  const client = io(`http://127.0.0.1:${http.address().port}`, {
    transports: ["websocket"], reconnectionDelay: 500, randomizationFactor: 0, forceNew: true,
  });
  const facts = [];
  client.on("fact", (number, ...rest) => {
    facts.push(number);
    if (typeof rest.at(-1) === "function") rest.at(-1)("ok");
  });
  client.on("ask", (answer) => answer());
  const [socket] = await opened;
  if (!client.connected) await new Promise((resolve) => client.once("connect", resolve));
  socket.emit("fact", 1);
  await socket.emitWithAck("ask"); // what went before has arrived

  const [closed, again] = [once(socket, "disconnect"), once(server, "connection")];
  client.io.engine.close();
  await closed;
  server.to(socket.id).emit("fact", 2);
  const told = send(socket);
  server.to(socket.id).emit("fact", 4);
  const [after] = await again;
  await after.emitWithAck("ask");
  const recovered = [client.recovered, after.recovered];
  console.log(`${name}: recovered ${recovered}, facts ${facts}, sender: ${await told}`);
  client.close();
}

const answer = (resolve) => (error, answers) =>
  resolve(error ? error.message : `no error, answers ${JSON.stringify(answers)}`);

await follow("plain", (socket) => void server.to(socket.id).emit("fact", 3));
await follow("asks the socket", (socket) =>
  new Promise((resolve) => socket.timeout(2000).emit("fact", 3, answer(resolve))));
await follow("asks the room", (socket) =>
  new Promise((resolve) => server.to(socket.id).timeout(2000).emit("fact", 3, answer(resolve))));
process.exit(0);
JS
node seen.mjs | tee seen

diff - seen <<'SEEN' && echo "as described"
socket.io 4.8.4 socket.io-client 4.8.4
plain: recovered true,true, facts 1,2,3,4, sender: undefined
asks the socket: recovered true,true, facts 1,2,4, sender: operation has timed out
asks the room: recovered true,true, facts 1,2,4, sender: no error, answers []
SEEN
