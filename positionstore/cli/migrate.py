"""``positionstore migrate``: the database's schema."""

from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_line
from positionstore.embedded.server import to_stderr
from positionstore.store import migrations
from positionstore.store.database import opened


def migrate(
    *,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to keep trying while other sessions use a table."),
    ] = migrations.LONGEST_WAIT,
) -> None:
    """Bring the database's schema to head.

    On the embedded server this happens automatically. It is one transaction: if it fails, nothing
    has changed; two at once take turns. If other sessions use a table, it waits two seconds at a
    time without blocking others, and tries again.

    Example: positionstore migrate
    """
    settings = start()
    with opened(settings, check=False) as store:
        before, after = migrations.migrate(store.url, schema=store.schema, wait=wait, say=to_stderr)
    if before == after:
        print_line(f"The schema is at head: {after}.")
    else:
        print_line(f"Brought the schema from {before or 'nothing'} to {after}.")
