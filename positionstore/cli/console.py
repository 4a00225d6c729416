"""Standard output, for people and for programs.

Tables and progress bars are for a terminal. Elsewhere a table is tab-separated lines, and there is
no progress bar. Text from the wire is escaped here, as :mod:`positionstore.escaping` defines.
"""

import contextlib
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol, TextIO

from positionstore.escaping import json_text, printable, printable_lines


def print_json(value: object) -> None:
    """Print a value as one line of JSON: times in ISO 8601, other types as text."""
    print(json_text(value))


def print_line(text: str) -> None:
    """Print a line, wrapped between words on a terminal."""
    print(broken(printable(text), sys.stdout))


def print_exact(text: str) -> None:
    """Print lines for a program or a shell; on a terminal, unprintable characters are escaped."""
    if sys.stdout.isatty():
        text = printable_lines(text)
    print(text)


def broken(line: str, stream: TextIO) -> str:
    """Return a line as it is to be printed: wrapped on a terminal, otherwise unchanged."""
    if not stream.isatty():
        return line
    return textwrap.fill(
        line,
        shutil.get_terminal_size().columns,
        break_long_words=False,
        break_on_hyphens=False,
    )


def is_narrow(columns: int) -> bool:
    """Whether standard output is a terminal that has fewer columns."""
    return sys.stdout.isatty() and shutil.get_terminal_size().columns < columns


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None
) -> None:
    """Print rows: as a table on a terminal, as tab-separated lines with a header elsewhere."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(_cell(value) for value in row))
        return
    from rich import box  # noqa: PLC0415 - a pipe needs none of it
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(
        box=box.SIMPLE_HEAD,
        title=None if title is None else Text(printable(title)),
        title_justify="left",
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        numbers = all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(
            Text(column),
            justify="right" if rows and numbers else "left",
            overflow="fold",
            no_wrap=index == 0,
        )
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)


class Show(Protocol):
    """Takes how much is done, the total, and a note."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Show it."""


@contextlib.contextmanager
def progress(description: str, *, unit: str) -> Iterator[Show]:
    """Show progress on standard error, if that is a terminal.

    Args:
        description: what is being done.
        unit: what is counted: ``bytes``, or a plural such as ``positions``.

    Yields:
        A function that takes the progress.
    """
    if not sys.stderr.isatty():
        yield _not_shown
        return
    from rich import progress as bars  # noqa: PLC0415 - a pipe needs none of it
    from rich.console import Console  # noqa: PLC0415 - the same

    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn() if unit == "bytes" else bars.MofNCompleteColumn(),
        bars.TextColumn("" if unit == "bytes" else unit),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(printable(description), total=None, note="")

        def show(done: int, total: int | None, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=printable(note))

        yield show


def _not_shown(done: int, total: int | None, note: str = "") -> None:
    pass


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and sys.stdout.isatty():
        return f"{value:,}"
    return printable(value)
