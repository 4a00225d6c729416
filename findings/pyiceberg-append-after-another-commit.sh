#!/usr/bin/env bash
# pyiceberg: an append through a table that another writer has changed meanwhile.
#
# Guess: the commit fails with CommitFailedException, for the table was loaded before the other commit.
# Seen (pyiceberg 0.12.0): the commit is rebased on the other's and tried again by itself, so two
# feeders that append the same rows both succeed, and the rows are there twice. With the table's
# property commit.retry.num-retries set to 0 the second one fails. A commit of properties through
# the old handle also brings it up to date: an append after it does not fail either way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q --disable-pip-version-check install 'pyiceberg[sql-sqlite,pyarrow]==0.12.0' 'pyarrow==26.0.1'
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import logging
import sys

import pyarrow as pa
import pyiceberg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException

logging.disable(logging.WARNING)
print("pyiceberg", pyiceberg.__version__, "pyarrow", pa.__version__)
catalog = SqlCatalog("c", uri=f"sqlite:///{sys.argv[1]}/c.db", warehouse=f"file://{sys.argv[1]}/w")
catalog.create_namespace("n")
row = pa.table({"seq": [1]})


def both_append(name, properties, *, touch):
    catalog.create_table(f"n.{name}", schema=row.schema, properties=properties)
    first, second = (catalog.load_table(f"n.{name}") for _ in range(2))
    first.append(row)
    if touch:
        with second.transaction() as transaction:
            transaction.set_properties(seen="yes")
    try:
        second.append(row)
    except CommitFailedException:
        pass
    return catalog.load_table(f"n.{name}").scan().to_arrow().num_rows


once = {"commit.retry.num-retries": "0"}
seen = {
    "as it is": both_append("a", {}, touch=False),
    "no retries": both_append("b", once, touch=False),
    "no retries, properties set before": both_append("c", once, touch=True),
}
print(seen)
sys.exit(seen != {"as it is": 2, "no retries": 1, "no retries, properties set before": 2})
PYTHON
