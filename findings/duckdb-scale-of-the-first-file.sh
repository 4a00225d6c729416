#!/usr/bin/env bash
# DuckDB rounds the amounts of later Parquet files to the scale of the first one.
#
# Guess: of files in which a decimal column has different scales, read_parquet('*.parquet') makes a
# column of the largest scale, or refuses them, as polars, pyarrow and pandas do.
# Seen: with DuckDB 2.0.1 the first file's type counts, as its manual says of the schema, and the others
# are cast to it without a word: behind a file whose type is decimal128(1, 0), 1.2345 is 1 and 1.75 is 2,
# in sums and in filters alike. pandas 3.1.1 chooses the scale of each file by its values, so a day of
# whole dollars makes the first file such a one. Behind an integer decimals are whole too, and behind a
# date a time is midnight. With the files in another order, or union_by_name, all digits are there.
# polars 2.1.0, pyarrow 26.0.1 and pandas refuse the same files.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    duckdb==2.0.1 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1

cat >seen.py <<'PY'
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

print(*(f"{each.__name__} {each.__version__}" for each in (duckdb, pd, pl, pa)))
for day, pips in ("day-1", (20000, 30000)), ("day-2", (12345, 17500)):
    usd = [Decimal(each) / 10000 for each in pips]
    pd.DataFrame({"usd": usd}).to_parquet(f"{day}.parquet")
    print(day, *usd, pq.read_schema(f"{day}.parquet").field("usd").type)

FILES = ["day-1.parquet", "day-2.parquet"]
WAYS = ("'day-*.parquet'", "read_parquet(['day-2.parquet', 'day-1.parquet'])",
    "read_parquet('day-*.parquet', union_by_name = true)")
for way in WAYS:
    usd = duckdb.sql(f"SELECT usd FROM {way} ORDER BY usd").fetchall()
    totals = f"SELECT sum(usd), count(*) FILTER (usd > 1.8) FROM {way}"
    [(total, above)] = duckdb.sql(totals).fetchall()
    print(f"{way}:", *(amount for (amount,) in usd), "sum", total, "above 1.8:", above)

def result(read):
    try:
        return f"read {read()}"
    except Exception as error:
        return type(error).__name__

print("polars:", result(lambda: pl.read_parquet(FILES)))
print("pyarrow:", result(lambda: ds.dataset(FILES).to_table()))
print("pandas:", result(lambda: pd.read_parquet(FILES)))

for name, first, second in (
    ("integer", "7", "1.75"),
    ("date", "DATE '2026-07-01'", "TIMESTAMP '2026-07-02 17:30:00'"),
):
    for number, value in (1, first), (2, second):
        duckdb.sql(f"COPY (SELECT {value} AS value) TO '{name}-{number}.parquet'")
    values = duckdb.sql(f"SELECT value FROM '{name}-*.parquet' ORDER BY value").fetchall()
    print(f"behind {name}:", *(value for (value,) in values))
PY
python/bin/python seen.py | tee seen

diff - seen <<'SEEN' && echo "as described"
duckdb 2.0.1 pandas 3.1.1 polars 2.1.0 pyarrow 26.0.1
day-1 2 3 decimal128(1, 0)
day-2 1.2345 1.75 decimal128(5, 4)
'day-*.parquet': 1 2 2 3 sum 8 above 1.8: 3
read_parquet(['day-2.parquet', 'day-1.parquet']): 1.2345 1.7500 2.0000 3.0000 sum 7.9845 above 1.8: 2
read_parquet('day-*.parquet', union_by_name = true): 1.2345 1.7500 2.0000 3.0000 sum 7.9845 above 1.8: 2
polars: SchemaError
pyarrow: ArrowInvalid
pandas: ArrowInvalid
behind integer: 2 7
behind date: 2026-07-01 2026-07-02
SEEN
