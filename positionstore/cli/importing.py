"""``positionstore import``: captured events."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from positionstore.cli.console import print_json, print_line, progress
from positionstore.cli.start import start
from positionstore.importer import files as importer
from positionstore.store.database import opened


def import_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="JSON Lines, packed by gzip or zstd too; - is standard input."
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Append captured events, or the log of another store, to the store.

    A line is an envelope, a row that `positionstore export events --format jsonl` or `tail --json`
    wrote (with its source, received_at and supersedes_before; the positions are the same), or what
    other tools capture: an array of a name and an envelope, a packet such as 42/namespace,[...].
    What the log has already is counted and not appended again, so an import that was interrupted is
    simply run once more. A line that is none of these goes to quarantine, of one of more than 16
    MiB its beginning, and then the exit code is 3. A file of another kind is refused before
    anything is read.

    Example: positionstore import events.jsonl
    """
    settings = start()
    with opened(settings) as store, progress("Importing", unit="bytes") as show:
        result = importer.import_files(
            files,
            store.connect,
            now=datetime.now(UTC),
            batch_size=settings.import_batch_size,
            progress=lambda now: show(
                now.bytes_read, now.bytes_total, f"{now.appended:,} appended"
            ),
        )
    if as_json:
        print_json(asdict(result))
    else:
        print_line(
            f"Read {result.read:,} lines: {result.appended:,} appended, "
            f"{result.duplicates:,} duplicates, {result.quarantined:,} quarantined. "
            f"{result.positions:,} positions show a fact of this import."
        )
    if result.quarantined:
        if not as_json:
            print_line("`positionstore quarantine list` shows what could not be understood.")
        raise typer.Exit(3)
