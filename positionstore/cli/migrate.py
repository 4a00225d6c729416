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
        typer.Option(min=0, help="Seconds to try while another session holds what is to change."),
    ] = migrations.LONGEST_WAIT,
) -> None:
    """Bring the database's schema to head.

    On the embedded server that happens by itself. It is one transaction: when it fails, nothing
    has changed, and two that start at once take turns. A long report does not make it hang, nor
    does it make others wait: it gives way, and tries again.

    Example: positionstore migrate
    """
    settings = start()
    with opened(settings, check=False) as store:
        before, after = migrations.migrate(store.url, schema=store.schema, wait=wait, say=to_stderr)
    if before == after:
        print_line(f"The schema is at head: {after}.")
    else:
        print_line(f"Brought the schema from {before or 'nothing'} to {after}.")
