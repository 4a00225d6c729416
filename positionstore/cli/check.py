"""``positionstore check``: checks the database, one line a check."""

from dataclasses import asdict
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact, print_json, print_line, print_table
from positionstore.health.checks import checks

_FOUND = 3


def check(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False
) -> None:
    """Check whether the book can be trusted, one line a check.

    The database: its schema, the append-only log, the roles and what they may do. The book: the
    gateway, the coverage of the stream, positions that stay different, the vendor's clock, and a
    sample of positions folded from their facts. This machine: the spool and the disk. If a check
    fails, the exit code is 3; the SQL that corrects a right follows, for a role that may execute
    it. The command itself changes nothing, and takes seconds, however large the store is.

    Example: positionstore check
    """
    found = list(checks(start()))
    ok = all(each.ok for each in found)
    if as_json:
        print_json({"ok": ok, "checks": [asdict(each) for each in found]})
    else:
        print_table(
            ("check", "is", "what"),
            [(each.name, "ok" if each.ok else "wrong", each.says) for each in found],
        )
        for each in found:
            for note in each.notes:
                print_line(f"{each.name}: {note}")
        for each in found:
            for statement in each.statements:
                print_exact(f"{statement};")
    if not ok:
        raise typer.Exit(_FOUND)
