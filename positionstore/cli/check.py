"""``positionstore check``: checks the database, one line a check."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact, print_json, print_line, print_table
from positionstore.errors import DatabaseUnavailableError
from positionstore.settings import Settings
from positionstore.store.checks import Check, checks
from positionstore.store.database import opened

_FOUND = 3


def check(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False
) -> None:
    """Check the database, its schema, the append-only log and who may do what.

    One line a check. If a check fails, the exit code is 3, and the SQL that corrects it follows,
    for a role that may execute it. The command itself changes nothing.

    Example: positionstore check
    """
    found = list(_checks(start()))
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


def _checks(settings: Settings) -> Iterator[Check]:
    try:
        with opened(settings, check=False) as store, store.connect() as connection:
            yield from checks(connection)
    except DatabaseUnavailableError as error:
        yield Check("database", ok=False, says=str(error))
