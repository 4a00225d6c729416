#!/usr/bin/env bash
# psycopg spends a hundred times as long on a list of JSON texts in text format as in binary.
#
# Guess: to pass a list of strings as a parameter costs about what it takes to copy them, and whether
# the placeholder is %s or %b makes no difference that can be felt.
# Seen: with psycopg 3.3.9, its C implementation in use, a list of 100 JSON texts of 1.7 kB takes 32 ms
# of CPU as %s, since each quotation mark is escaped by a regular expression, and 0.2 ms as %b. A list
# of strings is sent as text unless the placeholder says otherwise.
#
# Needs bash and Python 3.11 or newer, and no server. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install 'psycopg[binary]==3.3.9'

cat >lists.py <<'PY'
import json
import sys
import time

import psycopg
from psycopg.adapt import PyFormat, Transformer

texts = [json.dumps({f"key_{n}": f"value {n}" for n in range(80)}) for _ in range(100)]


def milliseconds(wanted: PyFormat) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        transformer = Transformer()
        transformer.get_dumper(texts, wanted).dump(texts)
        best = min(best, time.process_time() - began)
    return best * 1_000


default, text, binary = map(milliseconds, (PyFormat.AUTO, PyFormat.TEXT, PyFormat.BINARY))
print(f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), Python {sys.version.split()[0]}")
print(f"100 JSON texts of {len(texts[0]):,} characters each")
print(f"%s {default:.2f} ms, %t {text:.2f} ms, %b {binary:.2f} ms of CPU")
sys.exit(0 if default > 20 * binary else 1)
PY
python/bin/python lists.py
