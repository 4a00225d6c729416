"""``positionstore migrate``: the database's schema."""

from positionstore.cli.console import print_line
from positionstore.cli.start import start
from positionstore.store import migrations
from positionstore.store.database import opened


def migrate() -> None:
    """Bring the database's schema to head.

    On the embedded server that happens by itself. It is one transaction: when it fails, nothing
    has changed, and two that start at once take turns.

    Example: positionstore migrate
    """
    settings = start()
    with opened(settings, check=False) as store:
        before, after = migrations.migrate(store.url)
    if before == after:
        print_line(f"The schema is at head: {after}.")
    else:
        print_line(f"Brought the schema from {before or 'nothing'} to {after}.")
