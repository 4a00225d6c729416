#!/usr/bin/env bash
# DuckDB writes the sum of a bigint into a Parquet file as a double.
#
# Guess: sum() of a BIGINT is a HUGEINT, exact in SQL, and stays exact in a Parquet file, as a
# decimal128(38, 0), which DuckDB itself makes of it for Arrow.
# Seen: with DuckDB 2.0.1, COPY ... TO 'sums.parquet' makes a column of doubles: 9007199254740993
# becomes 9007199254740992, without a warning, and DuckDB reads it back as DOUBLE. CSV, JSON, Arrow
# (pyarrow 26.0.1) and polars 2.1.0 get all digits; df() for pandas 3.1.1 gives a float64. A sum that is
# cast is exact in Parquet: sum(pips)::DECIMAL(38, 0), or ::BIGINT.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0 pandas==3.1.1

cat >seen.py <<'PY'
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

print(*(f"{each.__name__} {each.__version__}" for each in (duckdb, pa, pl, pd)))
duckdb.execute("CREATE TABLE facts AS FROM (VALUES (9007199254740993), (0)) v (pips)")
SUM = "SELECT sum(pips) AS pips FROM facts"

print("SQL:", *duckdb.execute(f"SELECT typeof(pips), pips FROM ({SUM})").fetchone())
duckdb.execute(f"COPY ({SUM}) TO 'sums.parquet'")
sums = pq.read_table("sums.parquet")
print("Parquet:", sums.schema.field("pips").type, int(sums["pips"][0].as_py()))
print("  read by DuckDB:", *duckdb.execute("SELECT typeof(pips) FROM 'sums.parquet'").fetchone())
for kind in ("BIGINT", "DECIMAL(38, 0)"):
    duckdb.execute(f"COPY (SELECT sum(pips)::{kind} AS pips FROM facts) TO 'cast.parquet'")
    cast = pq.read_table("cast.parquet")
    print(f"  as {kind}:", cast.schema.field("pips").type, cast["pips"][0])
for name in ("sums.csv", "sums.json"):
    duckdb.execute(f"COPY ({SUM}) TO '{name}'")
    print(f"{name}:", *Path(name).read_text().split())
table = duckdb.sql(SUM).to_arrow_table()
print("Arrow:", table.schema.field("pips").type, table["pips"][0])
print("polars:", duckdb.sql(SUM).pl().item())
print("pandas:", duckdb.sql(SUM).df()["pips"].dtype, int(duckdb.sql(SUM).df()["pips"][0]))
PY
python/bin/python seen.py | tee seen

diff - seen <<'SEEN' && echo "as described"
duckdb 2.0.1 pyarrow 26.0.1 polars 2.1.0 pandas 3.1.1
SQL: HUGEINT 9007199254740993
Parquet: double 9007199254740992
  read by DuckDB: DOUBLE
  as BIGINT: int64 9007199254740993
  as DECIMAL(38, 0): decimal128(38, 0) 9007199254740993
sums.csv: pips 9007199254740993
sums.json: {"pips":9007199254740993}
Arrow: decimal128(38, 0) 9007199254740993
polars: 9007199254740993
pandas: float64 9007199254740992
SEEN
