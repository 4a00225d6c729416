"""``positionstore rebuild`` and ``positionstore verify``: the projection and the log."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, print_table, progress
from positionstore.importer import archive_check
from positionstore.importer.archive_check import Away
from positionstore.store import projection
from positionstore.store.database import opened
from positionstore.store.projection import Difference

_MOST_ROWS = 100

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON, with all of them.")]


def rebuild(*, as_json: AsJson = False) -> None:
    """Fold the log anew and swap the result in.

    Readers see the old rows until the new ones are there, and the ingester may go on. To be run
    after rows of position_statuses or event_types were added.

    Example: positionstore rebuild
    """
    with (
        opened(start()) as store,
        store.connect() as connection,
        progress("Folding the log", unit="positions") as show,
    ):
        differences = projection.rebuild(connection, progress=show)
    _print(differences, as_json=as_json, none="Nothing differed.", some="put right")


def verify(
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--archives", metavar="FOLDER", help="Read the archives in it as well."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fold the log and compare it with what stands.

    Nothing is changed. The exit code is 3 where something differs; `positionstore rebuild` puts it
    right. Positions whose facts are in an archive are folded from what the log keeps of them; one
    that got a fact since with which that is too little is named, and `positionstore import` of its
    archive puts it right. With --archives each file that the log tells of is read and compared with
    its digest.

    Example: positionstore verify --archives archives
    """
    with (
        opened(start()) as store,
        store.connect() as connection,
        progress("Folding the log", unit="positions") as show,
    ):
        differences = projection.verify(connection, progress=show)
        away = archive_check.check(connection, folder)
    _print(
        differences,
        as_json=as_json,
        none="Every position is the fold of its facts.",
        some="differ from the fold of their facts",
        away=away,
    )
    if differences or away.findings:
        raise typer.Exit(3)


def _print(
    differences: Sequence[Difference],
    *,
    as_json: bool,
    none: str,
    some: str,
    away: Away | None = None,
) -> None:
    if as_json:
        told: dict[str, object] = {
            "differences": [
                {
                    "position_id": difference.position_id,
                    "kind": difference.kind,
                    "columns": difference.columns,
                }
                for difference in differences
            ]
        }
        print_json(told if away is None else told | {"archived": asdict(away)})
        return
    if away is not None:
        _print_away(away)
    if not differences:
        print_line(none)
        return
    print_table(
        ("position_id", "kind", "columns"),
        [
            (difference.position_id, difference.kind, ", ".join(difference.columns or ()))
            for difference in differences[:_MOST_ROWS]
        ],
    )
    more = len(differences) - _MOST_ROWS
    print_line(
        f"{len(differences):,} {some}" + (f", {more:,} of them not shown." if more > 0 else ".")
    )


def _print_away(away: Away) -> None:
    if away.positions:
        print_line(
            f"The facts of {away.positions:,} positions are in {away.archives:,} archives"
            + (f", {away.proved:,} of which were read and are whole." if away.proved else ".")
        )
    for finding in away.findings[:_MOST_ROWS]:
        print_line(f"{finding.what}: {finding.fault}")
    if (more := len(away.findings) - _MOST_ROWS) > 0:
        print_line(f"{more:,} more are not shown.")
