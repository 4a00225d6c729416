#!/usr/bin/env bash
# polars divides and multiplies decimals without adding a digit after the point.
#
# Guess: a quotient of decimals has enough digits, as in PostgreSQL, or is a float, as in DuckDB; a
# product has the digits of both factors, as in either.
# Seen: with polars 2.1.0 the result has the larger of the two scales and is rounded to it. 12345 pips
# in a decimal(38, 0) divided by 10000 are 1 dollar, not 1.2345; a
# fee of 0.0031 divided by 10000 is 0.0000, and 0.0031 times 0.4345 is 0.0013. mean() gives a float
# instead. pyarrow 26.0.1 and DuckDB 2.0.1 make 0.00134695 of the product. Cast to a larger scale
# first: .cast(pl.Decimal(38, 12)).
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    polars==2.1.0 pyarrow==26.0.1 duckdb==2.0.1

cat >seen.py <<'PY'
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

table = pa.table(
    {
        "pips": pa.array([Decimal(12345)], pa.decimal128(38, 0)),
        "fee": pa.array([Decimal("0.0031")], pa.decimal128(18, 4)),
        "price": pa.array([Decimal("0.4345")], pa.decimal128(18, 4)),
    }
)
amounts = table
frame = pl.from_arrow(table)


def of_polars(expression):
    value = frame.select(expression).item()
    return f"{value:f}" if isinstance(value, Decimal) else f"{type(value).__name__} {value}"


print("polars", pl.__version__, "pyarrow", pa.__version__, "duckdb", duckdb.__version__)
print("pips / 10000 by polars:", of_polars(pl.col("pips") / 10_000))
print("  with a scale of 12:", of_polars(pl.col("pips").cast(pl.Decimal(38, 12)) / 10_000))
print("  by DuckDB:", *duckdb.execute("SELECT pips / 10000 FROM amounts").fetchone())
print("fee / 10000 by polars:", of_polars(pl.col("fee") / 10_000))
print("fee * price by polars:", of_polars(pl.col("fee") * pl.col("price")))
print("  by pyarrow:", pc.multiply(table["fee"], table["price"])[0])
print("  by DuckDB:", *duckdb.execute("SELECT fee * price FROM amounts").fetchone())
print("mean of fee by polars:", of_polars(pl.col("fee").mean()))
PY
python/bin/python seen.py | tee seen

diff - seen <<'SEEN' && echo "as described"
polars 2.1.0 pyarrow 26.0.1 duckdb 2.0.1
pips / 10000 by polars: 1
  with a scale of 12: 1.234500000000
  by DuckDB: 1.2345
fee / 10000 by polars: 0.0000
fee * price by polars: 0.0013
  by pyarrow: 0.00134695
  by DuckDB: 0.00134695
mean of fee by polars: float 0.0031
SEEN
