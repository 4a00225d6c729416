"""``positionstore import``: captured events, and the log of another store."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, progress
from positionstore.importer import archives
from positionstore.importer import files as importer
from positionstore.settings import Settings
from positionstore.store.archives import Restored
from positionstore.store.database import opened


def import_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="JSON Lines, also compressed by gzip or zstd; - is standard input. Or archives.",
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Append captured events, or the log of another store, to the store.

    A line is an envelope, a row written by `positionstore export events --format jsonl` or `tail
    --json` (which gives the same positions, with source, received_at and supersedes_before), or
    what other tools capture: an array of a name and an envelope, or a packet such as
    42/namespace,[...]. Facts that the log has are counted and not appended again, so run an
    interrupted import again. Other lines go to quarantine (only the beginning of one of more than
    16 MiB), and the exit code is 3. A file of another kind is refused before anything is read.

    Files of `positionstore archive` bring their facts back with their old seq; DATABASE_URL must
    then be that of the tables' owner.

    Example: positionstore import events.jsonl
    """
    settings = start()
    if archives.are_archives(files):
        _bring_back(settings, files, as_json=as_json)
        return
    with opened(settings) as store, progress("Importing", unit="bytes") as show:
        result = importer.import_files(
            files,
            store.connect,
            now=datetime.now(UTC),
            batch_size=settings.import_batch_size,
            progress=lambda now: show(
                now.bytes_done, now.bytes_total, f"{now.appended:,} appended"
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


def _bring_back(settings: Settings, files: list[str], *, as_json: bool) -> None:
    with (
        opened(settings, as_owner=True) as store,
        progress("Bringing back", unit="facts") as show,
    ):
        done = archives.bring_back(store, files, now=datetime.now(UTC), progress=show)
    conflicting = sum(each.conflicting for each in done)
    if as_json:
        print_json({"restored": [asdict(each) for each in done]})
    else:
        for each in done:
            print_line(f"{each.file}: {_came(each)}")
    if conflicting:
        if not as_json:
            print_line(
                f"{conflicting:,} facts came once more meanwhile, with other content: what the "
                "archive has is in quarantine; `positionstore quarantine list` shows it."
            )
        raise typer.Exit(3)


def _came(back: Restored) -> str:
    if back.back_since is not None:
        return f"its facts are back since {back.back_since:%F %T} UTC; nothing was done."
    return (
        f"{back.positions:,} positions are whole again; {back.returned:,} of its "
        f"{back.facts:,} facts came back, the others were there."
    )
