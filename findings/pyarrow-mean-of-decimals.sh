#!/usr/bin/env bash
# pyarrow rounds the mean of decimals to the scale of its column.
#
# Guess: the mean of decimals has digits behind those of the column, as in PostgreSQL, or is a float, as
# the mean of integers, and as stddev and quantile of the same column.
# Seen: with pyarrow 26.0.1, the mean of 1 and 2 in a decimal128(38, 0) is 2, and that of the same
# numbers as int64 is 1.5; the mean of 0.0001, 0 and 0 dollars is 0.0000. So it is in group_by and, with
# pandas 3.1.1, in mean() and groupby().mean() of a column of Arrow's type, whose median() is 1.5.
# DuckDB 2.0.1 gives 1.5. Add up, and divide in Python: sum / Decimal(count); or take the mean in SQL.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1

cat >seen.py <<'PY'
from decimal import Decimal

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

pips = pa.array([Decimal(1), Decimal(2)], pa.decimal128(38, 0))
usd = pa.array([Decimal("0.0001"), Decimal(0), Decimal(0)], pa.decimal128(24, 4))
table = pa.table({"market": ["A", "A"], "pips": pips})

print("pyarrow", pa.__version__, "pandas", pd.__version__, "duckdb", duckdb.__version__)
print("mean of 1 and 2, int64:", pc.mean(pips.cast(pa.int64())))
print("  decimal128(38, 0):", pc.mean(pips), pc.mean(pips).type)
print("  in group_by:", table.group_by("market").aggregate([("pips", "mean")])["pips_mean"][0])
print("  stddev:", pc.stddev(pips), "quantile:", pc.quantile(pips)[0])
print("mean of 0.0001, 0 and 0:", pc.mean(usd))

series = pd.Series(pips, dtype=pd.ArrowDtype(pips.type))
print("pandas, mean:", series.mean(), "median:", series.median())
print("  in groupby:", *series.groupby(["A", "A"]).mean())
print("DuckDB:", *duckdb.execute("SELECT avg(pips) FROM 'table'").fetchone())
print("sum / Decimal(count):", pc.sum(pips).as_py() / Decimal(len(pips)))
PY
python/bin/python seen.py | tee seen

diff - seen <<'SEEN' && echo "as described"
pyarrow 26.0.1 pandas 3.1.1 duckdb 2.0.1
mean of 1 and 2, int64: 1.5
  decimal128(38, 0): 2 decimal128(38, 0)
  in group_by: 2
  stddev: 0.5 quantile: 1.5
mean of 0.0001, 0 and 0: 0.0000
pandas, mean: 2 median: 1.5
  in groupby: 2
DuckDB: 1.5
sum / Decimal(count): 1.5
SEEN
