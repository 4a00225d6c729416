"""``positionstore reconcile``: one run of the reconciler."""

from typing import Annotated

import typer

from positionstore.cli.bootstrap import start_work
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
        bool, typer.Option("--full", help="Compare all positions, however long ago they ended.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report differences; write nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON: the run and its differences.")
    ] = False,
) -> None:
    """Compare the store with GET /positions, and repair what differs.

    It compares active positions and those that ended since the last complete run or the oldest
    unrepaired gap. A repair appends a snapshot to the log. Differences from the last minute are
    checked again after that minute. The exit code is 0 if nothing differs or everything was
    repaired, 3 if differences or invalid fields remain (with --dry-run: if there are any), 1 if
    the run failed or was partial.

    Example: positionstore reconcile --full
    """
    settings = start_work()
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
