"""``positionstore quarantine``: inputs that could not be understood."""

import base64
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, print_table
from positionstore.errors import ConfigurationError
from positionstore.importer.retry_quarantine import retry_quarantine
from positionstore.store import quarantine
from positionstore.store.database import opened

app = typer.Typer(
    help="Inputs that could not be understood.\n\nExample: positionstore quarantine list",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


@app.command("list")
def list_entries(
    *,
    limit: Annotated[int, typer.Option(min=1, help="The maximum number to list.")] = 100,
    all_: Annotated[bool, typer.Option("--all", help="Include released entries.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the inputs in quarantine, oldest first.

    Example: positionstore quarantine list --limit 20
    """
    with opened(start()) as store, store.connect() as connection:
        entries = quarantine.waiting(connection, at_most=limit, released_too=all_)
    if as_json:
        print_json([asdict(entry) for entry in entries])
    elif entries:
        print_table(
            ("id", "reason", "detail", "source", "received_at", "bytes"),
            [
                (
                    entry.quarantine_id,
                    entry.reason,
                    entry.detail,
                    entry.source,
                    entry.received_at,
                    entry.length,
                )
                for entry in entries
            ],
        )
    else:
        print_line("Nothing waits in quarantine.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="An id from the list.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Write only the original bytes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one entry in full.

    Example: positionstore quarantine show 1
    """
    if raw and sys.stdout.isatty():
        raise ConfigurationError(
            "--raw would write to the terminal whatever came over the wire.",
            remedy="Send it into a file or a pipe.",
        )
    with opened(start()) as store, store.connect() as connection:
        entry = quarantine.show(connection, number)
    if entry is None:
        raise ConfigurationError(
            f"There is no entry {number} in quarantine.",
            remedy="`positionstore quarantine list` shows what there is.",
        )
    if raw:
        sys.stdout.buffer.write(entry.raw)
    elif as_json:
        print_json(asdict(entry) | _as_json(entry.raw))
    else:
        print_table(
            ("what", "is"),
            [
                ("id", str(entry.quarantine_id)),
                ("reason", entry.reason),
                ("detail", entry.detail),
                ("source", entry.source),
                ("received_at", entry.received_at),
                ("released_at", entry.released_at or "it waits"),
                ("input", entry.raw.decode(errors="backslashreplace")),
            ],
        )


@app.command()
def retry(
    numbers: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID", help="Ids from the list; all by default."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Read the inputs in quarantine again, for example after an upgrade.

    Packets are read as a connection reads them, lines as an import does. Inputs that are valid now
    are appended to the log with their source. An item of a REST answer is released when a later
    reconciliation has seen its position. The exit code is 3 where something still waits.

    Example: positionstore quarantine retry
    """
    with opened(start()) as store:
        result = retry_quarantine(store.connect, only=numbers or None)
    if as_json:
        print_json(asdict(result))
    else:
        print_line(f"Read {result.tried:,} again: {result.released:,} understood and appended.")
    if result.released < result.tried:
        raise typer.Exit(3)


def _as_json(raw: bytes) -> dict[str, str]:
    try:
        return {"raw": raw.decode(), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"raw": base64.b64encode(raw).decode(), "encoding": "base64"}
