"""``positionstore archive``: moves facts of positions that ended long ago out of the log."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, progress
from positionstore.export.archive import Done
from positionstore.export.archive import archive as run
from positionstore.model.moments import moment_of
from positionstore.model.wording import counted
from positionstore.store.database import opened


def archive(
    *,
    before: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Only positions whose facts are all older: a time or a date, UTC.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder for the files.", show_default=False)
    ],
    limit: Annotated[
        int | None,
        typer.Option(metavar="POSITIONS", min=1, help="The maximum number of positions."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Move the facts of positions that ended long ago out of the log, into Parquet.

    A file gets all facts of its positions. It is synced to disk, read back and compared before
    they leave the log, in one transaction with a fact that records the archive. The rows of these
    positions and everything the fold needs stay, so `positionstore verify` works as before.
    `positionstore import FILE` brings the facts back. TIME must be at least 30 days ago. If the
    command is killed, nothing is lost: run it again. DATABASE_URL must be that of the tables'
    owner.

    Example: positionstore archive --before 2025-01-01 --to archives --dry-run
    """
    moment, now = moment_of("--before", before), datetime.now(UTC)
    settings = start()
    with (
        opened(settings, as_owner=True) as store,
        progress("Archiving", unit="positions") as show,
    ):
        done = run(store, to, before=moment, now=now, limit=limit, dry_run=dry_run, progress=show)
    if as_json:
        print_json({**asdict(done), "files": list(done.files)})
    else:
        for name in done.files:
            print_line(str(to / name))
        print_line(_said(done))


def _said(done: Done) -> str:
    what = f"{counted(done.positions, 'position')} with {counted(done.facts, 'fact')}"
    if done.dry_run:
        return f"{what} ({done.bytes:,} bytes as stored) would move. Nothing was written."
    if done.files:
        said = (
            f"{what} are in {counted(len(done.files), 'file')} of {done.bytes:,} bytes; "
            f"{counted(done.left or 0, 'fact')} left the log."
        )
    else:
        said = f"No position ended before {done.before:%F %T} UTC of which facts are left to move."
    if done.passed_over:
        said += (
            f" {counted(done.passed_over, 'position')} got a fact meanwhile: run it again for them."
        )
    return said
