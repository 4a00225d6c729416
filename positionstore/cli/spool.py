"""``positionstore spool``: inputs that wait on disk for the database."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import Show, print_json, print_line, print_table, progress
from positionstore.ingest.spools import Spools, SpoolState
from positionstore.ingest.store_writer import StoreWriter
from positionstore.settings import Settings
from positionstore.store import identity
from positionstore.store.database import opened

app = typer.Typer(
    help="Inputs that wait on disk for the database.\n\nExample: positionstore spool list",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show every spool of the data directory, without using the database.

    Example: positionstore spool list
    """
    spools = _spools(start())
    if as_json:
        print_json(asdict(spools.totals()) | {"list": [asdict(each) for each in spools.listed()]})
        return
    print_table(
        ("spool", "state", "events", "bytes", "oldest"),
        [
            (each.name, each.state, each.size.events, each.size.bytes, each.size.oldest)
            for each in spools.listed()
        ],
    )


@app.command()
def drain(*, as_json: AsJson = False) -> None:
    """Write into the database what ingesters have left behind, the oldest first.

    A spool in use is drained by the ingester that uses it. The exit code is 3 if something remains:
    in use, damaged, or of the other environment.

    Example: positionstore spool drain
    """
    settings = start()
    spools = _spools(settings)
    drained = 0
    with opened(settings) as store:
        with store.connect() as connection:
            environment = identity.identity(connection)
        writer = StoreWriter(
            store,
            batch_size=settings.batch_size,
            heartbeat_every=settings.heartbeat_every,
            patience=settings.database_patience,
        )
        total = spools.totals().events
        try:
            with progress("Draining", unit="events") as show:
                for spool in spools.adopt_orphans(environment):
                    drained += writer.drain(spool, progress=_beyond(drained, total, show))
        finally:
            writer.forget()
    left = spools.totals()
    damaged = left.damaged
    if as_json:
        print_json({"drained": drained, "left": asdict(left)})
    else:
        print_line(f"Drained {drained:,} events; {left.events:,} wait still, {damaged:,} damaged.")
    if left.events or any(each.state is SpoolState.DAMAGED for each in spools.listed()):
        raise typer.Exit(3)


def _beyond(before: int, total: int, show: Show) -> Callable[[int], None]:
    return lambda count: show(before + count, total)


def _spools(settings: Settings) -> Spools:
    return Spools(settings.store_dir, max_bytes=settings.spool_max_bytes)
