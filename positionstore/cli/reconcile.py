"""``positionstore reconcile``: one pass."""

from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, progress
from positionstore.cli.run_view import print_run, show_run
from positionstore.cli.signals import complete
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import as_dict
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.store.database import opened


def reconcile(
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Walk all positions, however long ago they ended.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what differs; write nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON: the run and what differed.")
    ] = False,
) -> None:
    """Compare the store with GET /positions, and repair what differs.

    It looks at the active positions, and at those that ended since the last complete run or since
    the oldest gap that nothing has repaired. A repair appends a snapshot to the log. What differs
    and has changed within the last minute is looked at again when that has passed. The exit code
    is 0 where nothing differs or all is repaired, 3 where differences remain (so with --dry-run
    where there are any) or fields of positions are not of their kind, 1 where the run failed or was
    partial.

    Example: positionstore reconcile --full
    """
    settings = start()
    with opened(settings) as store, progress("Comparing", unit="positions") as show:
        reconciler = Reconciler(settings, store)
        report = complete(
            reconciler.run(
                Trigger.COMMAND,
                Scope.full() if full else reconciler.recent_scope(),
                dry_run=dry_run,
                progress=lambda now: show_run(show, now),
            )
        )
    if as_json:
        print_json(as_dict(report))
    else:
        print_run(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)
