#!/usr/bin/env python3
"""Writes the migration for fields that were appended to the field catalogue.

scripts/new_field NAME...    names as the wire spells them, such as risk.funding_bps

The SQL is written from the catalogue, and frozen from then on: review it like any other. See
docs/add-a-field.md.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import checkout

if __name__ == "__main__":
    checkout.enter()

from positionstore.model.fields import (
    ADDED_FIELDS,
    Field,
)
from positionstore.store.schema_sql import files

MIGRATIONS: Final = checkout.ROOT / "migrations"

_VERSION: Final = '''\
"""Positions have {fields}.

{column_is} NULL in the rows that stand, until ``positionstore rebuild`` fills {it} from the log.
"""

from pathlib import Path

from alembic import op

revision: str = "{revision}"
down_revision: str | None = "{before}"

_SQL = Path(__file__).parent.parent / "sql" / "{revision}"
_FILES = (
{files}
)


def upgrade() -> None:
    """Add {column}, and replace what has a column for each field."""
    # Its rows get a column more, which CREATE OR REPLACE cannot do.
    _execute("DROP FUNCTION positions_as_of")
    for name in _FILES:
        _execute((_SQL / f"{{name}}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Leave it: the only way back is to nothing, and 0021 drops it all."""


def _execute(script: str) -> None:
    # Below SQLAlchemy, which would take a percent sign for a placeholder.
    op.get_bind().connection.cursor().execute(script)
'''


def newest(name: str, migrations: Path = MIGRATIONS) -> str:
    """Return the SQL of an object as the last migration that wrote it has it."""
    *_, path = sorted(migrations.glob(f"sql/*/{name}.sql"))
    return path.read_text(encoding="utf-8")


def pending() -> list[Field]:
    """Return the fields of the catalogue that no migration has yet."""
    has = set(re.findall(r"^    (\w+) \w", newest("functions/positions_as_of"), re.MULTILINE))
    return [field for field in ADDED_FIELDS if field.column not in has]


def write(fields: Sequence[Field]) -> list[Path]:
    """Write the migration that adds some fields; return its files."""
    before = max(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/*.py"))
    revision = f"{int(before) + 1:04d}"
    texts = {"tables/positions": files.add_columns(fields)}
    texts |= {name: text for name, text in files.replaced().items() if text != newest(name)}
    many = len(fields) > 1
    version = _VERSION.format(
        fields=" and ".join(field.column for field in fields),
        column_is="Their columns are" if many else "Its column is",
        column="their columns" if many else "its column",
        it="them" if many else "it",
        revision=revision,
        before=before,
        files="\n".join(f'    "{name}",' for name in texts),
    )
    slug = "_".join(field.column for field in fields)[:60]
    written = {MIGRATIONS / "versions" / f"{revision}_{slug}.py": version}
    written |= {MIGRATIONS / "sql" / revision / f"{name}.sql": text for name, text in texts.items()}
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(written)


def main() -> int:
    """Write the migration, and say what is next."""
    names = sys.argv[1:]
    wanted = pending()
    if not names or {*names} != {field.wire_name for field in wanted}:
        missing = ", ".join(field.wire_name for field in wanted) or "none"
        print(
            f"new_field: name the fields of ADDED_FIELDS that no migration has yet: {missing}.",
            file=sys.stderr,
        )
        return 2
    for path in write(wanted):
        print(path.relative_to(checkout.ROOT))
    print("Review it, then: scripts/docs.py, and the lines of docs/add-a-field.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
