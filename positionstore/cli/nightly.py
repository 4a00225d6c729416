"""``scripts/nightly_reconcile.py``: the nightly job, for a crontab."""

from pathlib import Path
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start_work
from positionstore.cli.console import print_exact, print_line, progress
from positionstore.cli.run_view import show_run
from positionstore.cli.signals import complete
from positionstore.nightly.job import nightly as job


def nightly(
    *,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="The folder for the reports; by default nightly/ in the data directory.",
        ),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many reports to keep.")] = 90,
) -> None:
    """Reconcile in full, and leave a report: a page for a person, the same as text, and JSON.

    latest.html, latest.txt and latest.json are always the newest. It waits for another
    reconciliation to end. The exit code is 0 if nothing differs or everything was repaired, 3 if
    differences or invalid fields remain, 1 if the run failed or was partial, 2 if the settings are
    wrong or the vendor refuses the key. It writes a report in every case, unless the directory
    itself is unusable, and prints the text of it unless all is well.

    Example: scripts/nightly_reconcile.py --directory /var/lib/positionstore/nightly
    """
    settings = start_work()
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
        print_exact(left.text.read_text(encoding="utf-8"))
        print_line(f"See {left.html}.")
        raise typer.Exit(left.exit_code)
