#!/usr/bin/env bash
# DuckDB's ->> gives a JSON number back with other digits than its text has.
#
# Guess: envelope ->> 'price' of a JSON text gives the number as it is written there, as PostgreSQL's
# json does, since DuckDB keeps JSON as text. Cast to DECIMAL it is exact.
# Seen: with DuckDB 2.0.1, a number with a fraction or an exponent is read as a double and written
# anew: 12345678901234.56789 comes as 12345678901234.568, 1.10 as 1.1, 1e3 as 1000.0, though whole
# numbers of any length come as they are. json_transform to DECIMAL reads the text itself and is
# exact, so one number of one document is two; with 1.5.5 json_transform goes through a double as
# well, and gives a third. Cast to BIGINT, ->> rounds 5692.5 to 5693, where PostgreSQL refuses it.
# Whole pips stay as they are; an amount that is a JSON number with a fraction does not.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install duckdb==2.0.1
python3 -m venv older >/dev/null
older/bin/pip -q --disable-pip-version-check install duckdb==1.5.5

cat >seen.py <<'PY'
import duckdb

TEXT = (
    '{"usd": 12345678901234.56789, "rate": 1.10, "sum": 1e3, '
    '"units": 123456789012345678901234567890, "pips": 5692.5}'
)


def one(query):
    return duckdb.execute(query, {"text": TEXT}).fetchone()[0]


print("duckdb", duckdb.__version__)
print("the text:", one("SELECT $text::JSON::VARCHAR"))
for key in ("usd", "rate", "sum", "units"):
    print(f"->> {key}:", one(f"SELECT $text::JSON ->> '{key}'"))
print("->> as DECIMAL:", one("SELECT ($text::JSON ->> 'usd')::DECIMAL(24, 5)"))
print("json_transform:", one("""SELECT json_transform($text, '{"usd": "DECIMAL(24,5)"}').usd"""))
print("->> as BIGINT:", one("SELECT ($text::JSON ->> 'pips')::BIGINT"))
PY
{ python/bin/python seen.py; older/bin/python seen.py; } | tee seen

diff - seen <<'SEEN' && echo "as described"
duckdb 2.0.1
the text: {"usd": 12345678901234.56789, "rate": 1.10, "sum": 1e3, "units": 123456789012345678901234567890, "pips": 5692.5}
->> usd: 12345678901234.568
->> rate: 1.1
->> sum: 1000.0
->> units: 123456789012345678901234567890
->> as DECIMAL: 12345678901234.56800
json_transform: 12345678901234.56789
->> as BIGINT: 5693
duckdb 1.5.5
the text: {"usd": 12345678901234.56789, "rate": 1.10, "sum": 1e3, "units": 123456789012345678901234567890, "pips": 5692.5}
->> usd: 12345678901234.568
->> rate: 1.1
->> sum: 1000.0
->> units: 123456789012345678901234567890
->> as DECIMAL: 12345678901234.56800
json_transform: 12345678901234.56768
->> as BIGINT: 5693
SEEN
