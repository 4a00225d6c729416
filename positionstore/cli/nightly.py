"""``scripts/nightly_reconcile.py``: what a crontab starts."""

from pathlib import Path
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_line, progress
from positionstore.cli.run_view import show_run
from positionstore.cli.signals import complete
from positionstore.nightly.job import nightly as job


def nightly(
    *,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="Where the reports are kept; else nightly/ in the data directory.",
        ),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many reports are kept.")] = 90,
) -> None:
    """Reconcile in full, and leave a report: JSON, and a page for a person.

    latest.json and latest.html are always the newest. Another reconciliation that is under way is
    waited for. The exit code is 0 where nothing differs or all is repaired, 3 where differences
    remain or fields of positions are not of their kind, 1 where the run failed or was partial, 2
    where the settings are wrong; also then there is a report, unless the directory itself cannot be
    used.

    Example: scripts/nightly_reconcile.py --directory /var/lib/positionstore/nightly
    """
    settings = start()
    with progress("Comparing", unit="positions") as show:
        left = complete(
            job(
                settings,
                (directory or settings.data_dir / "nightly").absolute(),
                keep=keep,
                progress=lambda now: show_run(show, now),
            )
        )
    if left.error is not None:
        raise left.error
    if left.exit_code:
        print_line(f"See {left.html}.")
        raise typer.Exit(left.exit_code)
