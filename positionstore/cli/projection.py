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
from positionstore.model.wording import counted
from positionstore.store import projection
from positionstore.store.database import opened
from positionstore.store.fold import Difference

_MOST_ROWS = 100

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON, with all of them.")]


def rebuild(*, as_json: AsJson = False) -> None:
    """Fold the log again and replace the positions.

    Readers see the old rows until the new ones are complete, and the ingester may keep running. Run
    it after you add rows to position_statuses or event_types.

    Example: positionstore rebuild
    """
    with (
        opened(start()) as store,
        store.connect() as connection,
        progress("Folding the log", unit="positions") as show,
    ):
        differences = projection.rebuild(connection, progress=show, another=store.connect)
    _print(differences, as_json=as_json, none="Nothing differed.", some="put right")


def verify(
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--archives", metavar="FOLDER", help="Also check the archives in this folder."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fold the log and compare it with the positions.

    Nothing is changed. The exit code is 3 if something differs; `positionstore rebuild` corrects
    it. Positions with archived facts are folded from the facts that the log keeps. If one of them
    has since got a fact that needs the archive, it is listed; `positionstore import` of its
    archive corrects it. With --archives each file that the log knows is read and its digest
    compared.

    Example: positionstore verify --archives archives
    """
    with (
        opened(start()) as store,
        store.connect() as connection,
        progress("Folding the log", unit="positions") as show,
    ):
        differences = projection.verify(connection, progress=show, another=store.connect)
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
        shown: dict[str, object] = {
            "differences": [
                {
                    "position_id": difference.position_id,
                    "kind": difference.kind,
                    "columns": difference.columns,
                }
                for difference in differences
            ]
        }
        print_json(shown if away is None else shown | {"archived": asdict(away)})
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
            f"The facts of {counted(away.positions, 'position')} are in "
            f"{counted(away.archives, 'archive')}"
            + (f"; {away.proved:,} of {away.archives:,} read and whole." if away.proved else ".")
        )
    for finding in away.findings[:_MOST_ROWS]:
        print_line(f"{finding.what}: {finding.fault}")
    if (more := len(away.findings) - _MOST_ROWS) > 0:
        print_line(f"{more:,} more are not shown.")
