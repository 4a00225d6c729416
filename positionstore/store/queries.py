"""The SQL that stands in ``store/sql/*.sql``, by name.

In a file each statement stands under a line ``-- name: what it is called``, followed by a
sentence on what it does.
"""

import re
from functools import cache
from pathlib import Path
from typing import LiteralString, cast

from psycopg import sql

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries(module: str) -> dict[str, sql.SQL]:
    """Return the statements of ``sql/<module>.sql`` by name."""
    return read_queries(Path(__file__).parent / "sql" / f"{module}.sql")


def read_queries(path: Path) -> dict[str, sql.SQL]:
    """Return the statements of a file by name."""
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    # What stands in a file of ours is as literal as what stands in a module of ours.
    return {
        name: sql.SQL(cast("LiteralString", body.strip().rstrip(";")))
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }
