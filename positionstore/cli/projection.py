"""``positionstore rebuild`` and ``positionstore verify``: the projection and the log."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, print_table, progress
from positionstore.errors import ConfigurationError
from positionstore.extras import lake_needed
from positionstore.importer import archive_check
from positionstore.importer.archive_check import Away
from positionstore.lake.names import EngineName
from positionstore.model.wording import counted
from positionstore.store import projection
from positionstore.store.database import opened
from positionstore.store.fold import Difference

if TYPE_CHECKING:
    from positionstore.lake.verify import Proof

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
    engine: Annotated[
        EngineName | None,
        typer.Option(
            help="Let DuckDB or Spark fold the facts of a lake instead.", show_default=False
        ),
    ] = None,
    lake: Annotated[
        str | None,
        typer.Option(metavar="LAKE", help="With --engine: the lake's folder, or its s3:// URL."),
    ] = None,
    master: Annotated[
        str | None,
        typer.Option("--spark-master", metavar="URL", help="With --engine spark: where it runs."),
    ] = None,
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
    compared. With --engine the facts of a lake are folded, outside the store, and the rows
    compared; positions that got a fact since the lake was fed are left out. If none
    is left, and the log has facts that the lake lacks, nothing is proved and the exit code is 1.

    Example: positionstore verify --archives archives
    """
    if engine is not None or lake is not None or master is not None:
        _verify_by_lake(engine, lake, master, folder, as_json=as_json)
        return
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


def _verify_by_lake(
    engine: EngineName | None,
    lake: str | None,
    master: str | None,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    if engine is None or lake is None or folder is not None:
        raise ConfigurationError(
            "--engine goes with --lake, and neither with --archives.",
            remedy="As in: positionstore verify --engine duckdb --lake lake",
        )
    from positionstore.cli.lake import place_of  # noqa: PLC0415 - what a lake needs, and no other

    place = place_of(lake)
    with lake_needed():
        from positionstore.lake.engine import started  # noqa: PLC0415 - large libraries
        from positionstore.lake.lake import Lake  # noqa: PLC0415 - the same
        from positionstore.lake.verify import verify as prove  # noqa: PLC0415 - the same

    with opened(start()) as store, started(engine, master=master) as running:
        proof = prove(store, Lake.fed(place), running)
    if as_json:
        print_json(asdict(proof))
    else:
        for finding in proof.findings:
            print_line(finding)
        if not proof.missing:
            _print_compared(proof, lake)
    if proof.differences or proof.findings:
        raise typer.Exit(3)
    if proof.proves_nothing:
        raise typer.Exit(1)


def _print_compared(proof: "Proof", lake: str) -> None:
    late = counted(proof.changed_since, "position")
    print_line(
        f"Compared {counted(proof.compared, 'position')} with the fold of"
        f" {counted(proof.facts, 'fact')}, up to seq {proof.last_seq}."
        + (f" Since then {late} changed; feed the lake." if proof.changed_since else "")
    )
    _print(
        proof.differences,
        as_json=False,
        none="Nothing was proved: the lake lacks facts of every position."
        f" Add them: positionstore lake feed {lake}"
        if proof.proves_nothing
        else "Every position compared is the fold of its facts.",
        some="differ from the fold of their facts",
    )


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
