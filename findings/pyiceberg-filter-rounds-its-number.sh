#!/usr/bin/env bash
# pyiceberg rounds the number of a filter to the column's type, and deletes what it then equals.
#
# Guess: a filter "pips > 1.5" on a column of whole numbers compares exactly, as SQL does, or is
# refused, as GreaterThan("pips", 1.5) is.
# Seen: with pyiceberg 0.12.0, a filter given as text rounds 1.5 and 2.5 both to 2, half to even, and
# compares with that. "pips > 1.5" leaves 2 out, "pips = 2.5" finds it, and delete("pips = 2.5")
# deletes its row. A decimal column refuses a number with other digits after the point than its own:
# "usd > 1.5" for a decimal(38, 4), where "usd > 1.5000" works. pyarrow 26.0.1.
#
# Needs bash and Python 3.11 or newer. Exits 1 where the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv python >/dev/null
python/bin/pip -q --disable-pip-version-check install \
    'pyiceberg[sql-sqlite,pyarrow]==0.12.0' pyarrow==26.0.1

cat >seen.py <<'PY'
import logging
import sys
from decimal import Decimal

import pyarrow as pa
import pyiceberg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import GreaterThan

logging.disable(logging.WARNING)
folder = sys.argv[1]
catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/w")
catalog.create_namespace("n")
usd = pa.array([Decimal("1.0000"), Decimal("2.0000"), Decimal("3.0000")], pa.decimal128(38, 4))
rows = pa.table({"pips": pa.array([1, 2, 3], pa.int64()), "usd": usd})
table = catalog.create_table("n.facts", schema=rows.schema)
table.append(rows)


def found(row_filter):
    try:
        return table.scan(row_filter=row_filter).to_arrow()["pips"].to_pylist()
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


print("pyiceberg", pyiceberg.__version__, "pyarrow", pa.__version__)
for text in ("pips > 1.5", "pips < 2.5", "pips = 2.5", "usd > 1.5", "usd > 1.5000"):
    print(f"{text}: {found(text)}")
print(f"GreaterThan('pips', 1.5): {found(GreaterThan('pips', 1.5))}")
table.delete("pips = 2.5")
print("after delete('pips = 2.5'):", found("pips > 0"))
PY
python/bin/python seen.py "$folder" 2>log | tee seen

diff - seen <<'SEEN' && echo "as described"
pyiceberg 0.12.0 pyarrow 26.0.1
pips > 1.5: [3]
pips < 2.5: [1]
pips = 2.5: [2]
usd > 1.5: ValueError: Could not convert 1.5 into a decimal(38, 4)
usd > 1.5000: [2, 3]
GreaterThan('pips', 1.5): TypeError: Cannot convert DoubleLiteral into long
after delete('pips = 2.5'): [1, 3]
SEEN
