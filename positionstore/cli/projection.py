"""``positionstore rebuild`` and ``positionstore verify``: the projection and the log."""

from collections.abc import Sequence
from typing import Annotated

import typer

from positionstore.cli.console import print_json, print_line, print_table, progress
from positionstore.cli.start import start
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


def verify(*, as_json: AsJson = False) -> None:
    """Fold the log and compare it with what stands.

    Nothing is changed. The exit code is 3 where something differs; `positionstore rebuild` puts it
    right.

    Example: positionstore verify
    """
    with (
        opened(start()) as store,
        store.connect() as connection,
        progress("Folding the log", unit="positions") as show,
    ):
        differences = projection.verify(connection, progress=show)
    _print(
        differences,
        as_json=as_json,
        none="Every position is the fold of its facts.",
        some="differ from the fold of their facts",
    )
    if differences:
        raise typer.Exit(3)


def _print(differences: Sequence[Difference], *, as_json: bool, none: str, some: str) -> None:
    if as_json:
        print_json(
            {
                "differences": [
                    {
                        "position_id": difference.position_id,
                        "kind": difference.kind,
                        "columns": difference.columns,
                    }
                    for difference in differences
                ]
            }
        )
        return
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
