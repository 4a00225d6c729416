#!/usr/bin/env bash
# DuckDB reads a CSV column of yes and no as a BOOLEAN.
#
# Guess: its CSV reader takes "true" and "false" for booleans and leaves other words as text, as
# pandas, polars and pyarrow do; a prediction market's side, yes or no, stays what it is.
# Seen: with DuckDB 2.0.1 the column is BOOLEAN, and comes out as true and false. Whether it does depends on the rows: with one row of another word it is
# text. So a file of one day can have another type than that of the next. side = 'yes' still works,
# for the word is cast; side || '' gives 'true'. types = {'side': 'VARCHAR'} keeps the words. polars
# 2.1.0, pandas 3.1.1 and pyarrow 26.0.1 read them as text.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    duckdb==2.0.1 polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1

cat >seen.py <<'PY'
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv

with open("positions.csv", "w") as file:
    file.write("position_id,side\nd1,yes\nd2,no\n")
with open("other.csv", "w") as file:
    file.write("position_id,side\nd1,yes\nd2,no\nd3,both\n")

print(*(f"{each.__name__} {each.__version__}" for each in (duckdb, pl, pd, pa)))
print("pandas:", list(pd.read_csv("positions.csv")["side"]))
print("polars:", pl.read_csv("positions.csv")["side"].to_list())
print("pyarrow:", pa.csv.read_csv("positions.csv")["side"].to_pylist())
typed = "read_csv('positions.csv', types = {'side': 'VARCHAR'})"
for source in ("'positions.csv'", "'other.csv'", typed):
    rows = duckdb.execute(f"SELECT side, typeof(side), side || '' FROM {source}").fetchall()
    print(f"DuckDB, {source}:", rows)
PY
python/bin/python seen.py | tee seen

diff - seen <<'SEEN' && echo "as described"
duckdb 2.0.1 polars 2.1.0 pandas 3.1.1 pyarrow 26.0.1
pandas: ['yes', 'no']
polars: ['yes', 'no']
pyarrow: ['yes', 'no']
DuckDB, 'positions.csv': [(True, 'BOOLEAN', 'true'), (False, 'BOOLEAN', 'false')]
DuckDB, 'other.csv': [('yes', 'VARCHAR', 'yes'), ('no', 'VARCHAR', 'no'), ('both', 'VARCHAR', 'both')]
DuckDB, read_csv('positions.csv', types = {'side': 'VARCHAR'}): [('yes', 'VARCHAR', 'yes'), ('no', 'VARCHAR', 'no')]
SEEN
