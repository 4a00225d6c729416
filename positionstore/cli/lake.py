"""``positionstore lake``: the log as a table of Iceberg, folded by other engines."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact, print_json, print_line, print_table, progress
from positionstore.errors import ConfigurationError
from positionstore.export.object_store import check_url, is_url
from positionstore.extras import lake_needed
from positionstore.lake.names import EngineName
from positionstore.model.moments import moment_of
from positionstore.model.wording import counted
from positionstore.store.database import opened

app = typer.Typer(
    help="The log as a table of Iceberg, and the fold of it by DuckDB or Spark.\n\n"
    "Example: positionstore lake feed lake",
    no_args_is_help=True,
)

Place = Annotated[
    str, typer.Argument(metavar="LAKE", help="The folder of the lake, or its s3:// URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
Engine = Annotated[EngineName, typer.Option(help="What folds the lake.")]
Master = Annotated[
    str | None,
    typer.Option(
        "--spark-master",
        metavar="URL",
        help="Where Spark runs: spark://HOST:7077, local[4]; by default this machine.",
    ),
]


@app.command()
def feed(
    lake: Place,
    *,
    compact: Annotated[
        bool, typer.Option("--compact", help="Merge the small files of earlier runs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add to a lake all facts that the log has and the lake has not.

    The same line does for the first run and for every later one. Each fact is added exactly once,
    however often the command is killed or run at the same time. Needs the extra `lake`.

    Example: positionstore lake feed lake
    """
    place = place_of(lake)
    with lake_needed():
        from positionstore.lake.feed import feed as run  # noqa: PLC0415 - large libraries

    with opened(start()) as store, progress("Feeding", unit="facts") as show:
        done = run(store, place, compact=compact, progress=show)
    if as_json:
        print_json(asdict(done))
    else:
        print_line(
            f"Added {counted(done.facts, 'fact')} to {done.lake} in"
            f" {counted(done.increments, 'increment')}. It holds the log up to seq"
            f" {done.last_seq}."
        )


@app.command()
def positions(
    lake: Place,
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The Parquet file to write.", show_default=False)
    ],
    valid_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only facts created by then: a time or a date, UTC."),
    ] = None,
    known_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only facts received by then: a time or a date, UTC."),
    ] = None,
    engine: Engine = EngineName.DUCKDB,
    master: Master = None,
    as_json: AsJson = False,
) -> None:
    """Fold a lake and write its positions as Parquet, as they are or as they were.

    The store is not asked. With --valid-at and --known-at they are what positions_as_of gives.

    Example: positionstore lake positions lake --out positions.parquet
    """
    place = place_of(lake)
    valid, known = _moment("--valid-at", valid_at), _moment("--known-at", known_at)
    start()
    with lake_needed():
        from positionstore.lake.engine import Folding, in_a_folder, started  # noqa: PLC0415
        from positionstore.lake.lake import Lake  # noqa: PLC0415

    in_a_folder(out)
    with started(engine, master=master) as running:
        opened_lake = Lake.fed(place)
        last_seq = opened_lake.last_seq()
        query = Folding(running, opened_lake).positions(valid_at=valid, known_at=known)
        rows = running.write(query, out)
    if as_json:
        print_json({"out": str(out), "positions": rows, "last_seq": last_seq})
    else:
        print_line(f"Wrote {counted(rows, 'position')} to {out}, by the log up to seq {last_seq}.")


@app.command()
def timeline(
    lake: Place,
    position_id: Annotated[str, typer.Argument(metavar="POSITION", help="The position's id.")],
    *,
    engine: Engine = EngineName.DUCKDB,
    master: Master = None,
    as_json: AsJson = False,
) -> None:
    """List the facts of a position in the order of facts; the last one is what it is.

    First come those that are retracted, then those that its latest snapshot overrules.

    Example: positionstore lake timeline lake dm_pos_1
    """
    place = place_of(lake)
    start()
    with lake_needed():
        from positionstore.lake.engine import Folding, started  # noqa: PLC0415
        from positionstore.lake.lake import Lake  # noqa: PLC0415

    with started(engine, master=master) as running:
        rows = running.run(Folding(running, Lake.fed(place)).timeline(position_id)).to_pylist()
    if as_json:
        print_json(rows)
    elif rows:
        shown = [name for name in rows[0] if name != "position_id"]
        print_table(shown, [[row[name] for name in shown] for row in rows])
    else:
        print_line(f"The lake has no fact of {position_id}.")


@app.command()
def sql(
    *,
    of: Annotated[
        str, typer.Argument(metavar="positions|timeline", help="Which query.")
    ] = "positions",
    valid_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only facts created by then, UTC.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only facts received by then, UTC.")
    ] = None,
) -> None:
    """Print the order of facts as the SQL text that DuckDB and Spark run.

    Example: positionstore lake sql positions --valid-at 2026-07-01
    """
    from positionstore.lake import fold_sql  # noqa: PLC0415 - the store's parts, for a text

    valid, known = _moment("--valid-at", valid_at), _moment("--known-at", known_at)
    if of not in {"positions", "timeline"}:
        raise ConfigurationError(f"There is no query {of!r}.", remedy="positions or timeline.")
    if of == "timeline":
        if valid is not None or known is not None:
            raise ConfigurationError("--valid-at and --known-at go with positions.")
        text = fold_sql.timeline()
    else:
        text = fold_sql.positions(valid_at=valid, known_at=known)
    print_exact(f"{fold_sql.HEAD}{text}")


def place_of(lake: str) -> Path | str:
    """Return the place of a lake.

    Raises:
        ConfigurationError: it is nothing, or a URL with a secret in it.
    """
    if not lake:
        raise ConfigurationError("The place of a lake is empty.", remedy="Name a folder or a URL.")
    if is_url(lake):
        check_url(lake)
        return lake
    return Path(lake)


def _moment(option: str, text: str | None) -> datetime | None:
    return None if text is None else moment_of(option, text)
