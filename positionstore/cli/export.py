"""``positionstore export``: from PostgreSQL into files."""

import os
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, progress
from positionstore.errors import ConfigurationError
from positionstore.export.export import export as run
from positionstore.export.formats import CsvStyle, Format
from positionstore.export.object_store import check_url, is_url
from positionstore.export.request import STANDARD_OUTPUT, Exported, ExportRequest
from positionstore.store.database import opened
from positionstore.store.read.query import LOG

_ELSEWHERE: Final = "Add --out FILE, or pipe it."


class Partition(StrEnum):
    """How rows are divided into folders."""

    DAY = "day"


class CsvTimes(StrEnum):
    """How CSV writes a time."""

    ISO = "iso"
    SPREADSHEET = "spreadsheet"


class Numeric(StrEnum):
    """How a ``numeric`` is written."""

    DECIMAL = "decimal"
    TEXT = "text"


def export(
    what: Annotated[
        str | None, typer.Argument(metavar="TABLE|VIEW", help="A table or view of the store.")
    ] = None,
    *,
    query: Annotated[
        str | None,
        typer.Option(
            "--sql", metavar="QUERY", help="One read-only query instead of a table or view."
        ),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format", help="The format; by default that of the file name extension of --out."
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="The file or folder, or its s3:// URL; - is standard output."
        ),
    ] = STANDARD_OUTPUT,
    since: Annotated[
        int | None,
        typer.Option(metavar="SEQ", min=0, help="Only events after this seq."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Add the events that the folder or table --out does not hold yet."
        ),
    ] = False,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="With --resume: merge the small files of increments."),
    ] = False,
    partition_by: Annotated[
        Partition | None,
        typer.Option(help="Make --out a folder with a folder for each day, in UTC."),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="CSV: do not escape formulas and control characters."),
    ] = False,
    csv_bom: Annotated[
        bool,
        typer.Option("--csv-bom", help="CSV: begin with a byte order mark, so Excel sees UTF-8."),
    ] = False,
    csv_times: Annotated[
        CsvTimes,
        typer.Option(help="CSV: times in ISO 8601, or as spreadsheets know them, in UTC."),
    ] = CsvTimes.ISO,
    numeric: Annotated[
        Numeric, typer.Option(help="Parquet: the type of exact decimals.")
    ] = Numeric.DECIMAL,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one line of JSON.")
    ] = False,
) -> None:
    """Export a table, a view or a query as Parquet, CSV, JSON Lines or a table of Iceberg.

    Types are exact, memory use stays flat, and a file appears only when it is complete. An export
    of events prints the last seq it contains; the next one continues from there with --since, or
    by itself with --resume. Parquet needs the extra `arrow` of positionstore, Iceberg the extra
    `iceberg`.

    Example: positionstore export positions --out positions.parquet
    """
    order = ExportRequest(
        relation=what,
        query=query,
        form=form or _format_of(out),
        out=_place(out),
        since=since,
        resume=resume,
        compact=compact,
        by_day=partition_by is not None,
        csv=CsvStyle(raw=raw, bom=csv_bom, plain_times=csv_times is CsvTimes.SPREADSHEET),
        exact_text=numeric is Numeric.TEXT,
    )
    _see_that_it_can_be(order)
    settings = start()
    with opened(settings) as store, progress("Exporting", unit="rows") as show:
        done = run(store, order, standard_output=sys.stdout.buffer, progress=show)
    # Where the rows went to standard output, nothing else does.
    with redirect_stdout(sys.stderr if order.out is None else sys.stdout):
        if as_json:
            print_json(asdict(done))
        else:
            print_line(_said(done, resumed=resume))


def _place(out: str) -> Path | str | None:
    if out == STANDARD_OUTPUT:
        return None
    if is_url(out):
        check_url(out)
        return out
    return Path(out)


def _format_of(out: str) -> Format:
    if out == STANDARD_OUTPUT:
        return Format.CSV
    ending = Path(out.partition("?")[0]).suffix.removeprefix(".").lower()
    if ending not in set(Format):
        raise ConfigurationError(
            f"The ending of --out {out} names no format.",
            remedy=f"Add --format: {', '.join(Format)}.",
        )
    return Format(ending)


def _see_that_it_can_be(order: ExportRequest) -> None:
    if (order.relation is None) == (order.query is None):
        raise ConfigurationError(
            "Either a table or view is exported, or a query with --sql.",
            remedy="As in: positionstore export positions",
        )
    if order.relation != LOG and (order.since is not None or order.resume):
        raise ConfigurationError(
            f"--since and --resume go with {LOG}, which alone are in the order of a seq."
        )
    if order.since is not None and order.resume:
        raise ConfigurationError("Either --since says where to begin, or --resume finds it.")
    if order.compact and not order.resume:
        raise ConfigurationError("--compact goes with --resume.")
    if order.out is None and order.into_a_folder:
        raise ConfigurationError(
            "--partition-by day, --resume and --format iceberg need a folder;"
            " standard output is none.",
            remedy="Add --out FOLDER.",
        )
    _see_that_it_fits_the_format(order)
    if order.out is None and os.isatty(sys.stdout.fileno()):
        if order.form is Format.PARQUET:
            raise ConfigurationError("Parquet is not written to a terminal.", remedy=_ELSEWHERE)
        if order.csv.raw:
            raise ConfigurationError(
                "--raw would write to the terminal whatever came over the wire.", remedy=_ELSEWHERE
            )


def _see_that_it_fits_the_format(order: ExportRequest) -> None:
    if order.csv != CsvStyle() and order.form is not Format.CSV:
        raise ConfigurationError(
            f"--raw, --csv-bom and --csv-times are for CSV, not for {order.form}."
        )
    if order.form is Format.ICEBERG and (order.by_day or not (order.relation or "").isidentifier()):
        raise ConfigurationError(
            "--format iceberg is for a table or view, and without --partition-by.",
            remedy="As in: positionstore export events --resume --format iceberg --out lake",
        )
    if order.compact and order.form is not Format.ICEBERG and isinstance(order.out, str):
        raise ConfigurationError(
            "--compact merges the files of a local folder, or of --format iceberg.",
            remedy="An object store cannot replace many files by one in one step.",
        )


def _said(done: Exported, *, resumed: bool) -> str:
    place = "standard output" if done.out == STANDARD_OUTPUT else done.out
    size = f" ({done.files:,} {'file' if done.files == 1 else 'files'}, {done.bytes:,} bytes)"
    said = f"Exported {done.rows:,} rows of {done.what} to {place}{size if done.bytes else ''}."
    if done.last_seq is None:
        return said
    if done.archives:
        files = f"{done.archives:,} {'archive' if done.archives == 1 else 'archives'}"
        said = f"{said} Facts of positions that ended long ago are in {files}, and not in it."
    if resumed:
        return f"{said} It holds the log up to seq {done.last_seq}."
    return f"{said} The last seq is {done.last_seq}: go on with --since {done.last_seq}."
