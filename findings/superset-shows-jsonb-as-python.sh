#!/usr/bin/env bash
# Superset shows a jsonb value, and writes it to CSV, in Python's spelling and not as JSON.
#
# Guess: a jsonb column of a query in SQL Lab is shown as JSON text, and the CSV of the result has JSON
# that another program can read.
# Seen: with Superset 6.1.0, {"a": [1, null, true]} becomes {'a': [1, None, True]}, which no JSON parser
# takes. psycopg2 hands over a dict, and the result set turns nested values into text with astype(str)
# before it comes to its own json.dumps. A column that the query casts to text stays as it is. SQL Lab
# through the REST API, against PostgreSQL 18.6, gave the same, in its grid and in its CSV.
# Besides, pip install apache-superset==6.1.0 needs rich, cachetools and an older flask-caching to run.
#
# Needs bash and Python 3.11, and no server: the result set is given what psycopg2 hands over.
# It downloads about 500 MB. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3.11 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    apache-superset==6.1.0 psycopg2-binary==2.9.13 rich cachetools flask-caching==2.3.1 2>pip.log

cat >superset_config.py <<PY
SECRET_KEY = "for this folder, and deleted with it: 0123456789abcdef"
SQLALCHEMY_DATABASE_URI = "sqlite:///$folder/superset.db"
TALISMAN_ENABLED = False
CACHE = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 100}
CACHE_CONFIG = DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
FILTER_STATE_CACHE_CONFIG = EXPLORE_FORM_DATA_CACHE_CONFIG = CACHE
PY
export SUPERSET_CONFIG_PATH=$folder/superset_config.py

cat >shown.py <<'PY'
import json
import sys
from importlib.metadata import version

import psycopg2.extensions
import psycopg2.extras
from superset.app import create_app

text = '{"a": [1, null, true]}'
psycopg2.extras.register_default_jsonb()
# What psycopg2 makes of a jsonb value (its type's oid is 3802), and of one cast to text (25).
handed_over = psycopg2.extensions.string_types[3802](text, None)

with create_app().app_context():
    from superset.db_engine_specs.postgres import PostgresEngineSpec
    from superset.result_set import SupersetResultSet

    columns = [("as_jsonb", 3802, *[None] * 5), ("as_text", 25, *[None] * 5)]
    result = SupersetResultSet([(handed_over, text)], columns, PostgresEngineSpec)
    frame = result.to_pandas_df()

print("superset", version("apache-superset"), "psycopg2", version("psycopg2-binary"))
print("psycopg2 hands over:", repr(handed_over))
print(frame.to_csv(index=False))


def is_json(value: str) -> bool:
    try:
        return json.loads(value) == json.loads(text)
    except ValueError:
        return False


seen = [is_json(frame[name][0]) for name in ("as_jsonb", "as_text")]
print("JSON again:", dict(zip(("as_jsonb", "as_text"), seen)))
sys.exit(0 if seen == [False, True] else 1)
PY
python/bin/python shown.py 2>log || { tail -n 3 log; exit 1; }
