"""``positionstore migrate``: the database's schema."""

from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_line
from positionstore.embedded.server import to_stderr
from positionstore.store import citus, migrations
from positionstore.store.database import opened


def migrate(
    *,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to keep trying while other sessions use a table."),
    ] = migrations.LONGEST_WAIT,
    on_citus: Annotated[
        bool,
        typer.Option("--citus", help="Spread the store over the workers of Citus, too."),
    ] = False,
) -> None:
    """Bring the database's schema to head.

    On the embedded server this happens automatically. It is one transaction: if it fails, nothing
    has changed; two at once take turns. If other sessions use a table, it waits two seconds at a
    time without blocking others, and tries again.

    With --citus the store, new or standing, is then spread over the workers of a Citus coordinator
    by position, in another transaction. That cannot be taken back, and nothing is appended
    meanwhile; see docs/citus.md.

    Example: positionstore migrate
    """
    settings = start()
    with opened(settings, check=False) as store:
        if on_citus:
            with store.connect() as connection:
                citus.require(connection)
        before, after = migrations.migrate(store.url, schema=store.schema, wait=wait, say=to_stderr)
        if on_citus:
            with store.connect() as connection:
                for line in citus.distribute(connection):
                    to_stderr(line)
    if before == after:
        print_line(f"The schema is at head: {after}.")
    else:
        print_line(f"Brought the schema from {before or 'nothing'} to {after}.")
