#!/usr/bin/env bash
# pandas reads JSON integers through a float where one is null, and then calls them int64.
#
# Guess: read_json(lines=True, dtype_backend="pyarrow") keeps integers exact beside a null: its
# columns are Arrow's int64, which has nulls. Strings stay strings.
# Seen: with pandas 3.1.1, the column is int64[pyarrow], and 9007199254740993 in it is
# 9007199254740992: the null has turned the column into floats on the way. So it is with
# "numpy_nullable" and, openly as float64, without. Without dtype_backend a string of digits, as exact
# decimals are written, becomes a float64 too, and "0012" becomes 12; dtype=False prevents that.
# polars 2.1.0, DuckDB 2.0.1 and pyarrow 26.0.1 read the same file exactly.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1

cat >seen.py <<'PY'
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.json

with open("facts.jsonl", "w") as file:
    file.write('{"pips": 9007199254740993, "usd": "12345678901234567890.1234", "id": "0012"}\n')
    file.write('{"pips": null, "usd": "0.1000", "id": "0013"}\n')

print(*(f"{each.__name__} {each.__version__}" for each in (pd, pa, pl, duckdb)))
for options in ({}, {"dtype": False}, {"dtype_backend": "pyarrow"}, {"dtype_backend": "numpy_nullable"}):
    first = pd.read_json("facts.jsonl", lines=True, **options)
    print(f"pandas, {options}:", first["pips"].dtype, *(repr(first[name].tolist()[0]) for name in first))
print("polars:", pl.read_ndjson("facts.jsonl").row(0))
print("DuckDB:", duckdb.execute("SELECT pips, usd, id FROM 'facts.jsonl'").fetchone())
print("pyarrow:", tuple(pa.json.read_json("facts.jsonl").to_pylist()[0].values()))
PY
python/bin/python seen.py | tee seen

diff - seen <<'SEEN' && echo "as described"
pandas 3.1.1 pyarrow 26.0.1 polars 2.1.0 duckdb 2.0.1
pandas, {}: float64 9007199254740992.0 1.2345678901234567e+19 12
pandas, {'dtype': False}: float64 9007199254740992.0 '12345678901234567890.1234' '0012'
pandas, {'dtype_backend': 'pyarrow'}: int64[pyarrow] 9007199254740992 '12345678901234567890.1234' '0012'
pandas, {'dtype_backend': 'numpy_nullable'}: Int64 9007199254740992 '12345678901234567890.1234' '0012'
polars: (9007199254740993, '12345678901234567890.1234', '0012')
DuckDB: (9007199254740993, '12345678901234567890.1234', '0012')
pyarrow: (9007199254740993, '12345678901234567890.1234', '0012')
SEEN
