"""The display of a demo: a live picture on a terminal, a line now and then elsewhere."""

import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from positionstore.cli.console import print_line
from positionstore.demo.view import StoreView
from positionstore.escaping import printable

_LINE_EVERY: Final = 5.0
_WIDEST_BAR: Final = 40
_BESIDE_A_BAR: Final = 31


class Picture:
    """A live picture, on a terminal.

    Args:
        console: the terminal.
        seconds: how long the demo takes.
    """

    def __init__(self, console: Console, seconds: float) -> None:
        self._console = console
        self._seconds = seconds
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a line, above the picture where there is one."""
        self._console.print(Text(printable(line), style="dim"))

    def show(self, sight: StoreView, seconds: float) -> None:
        """Draw the picture."""
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(self._drawn(sight, seconds), refresh=True)

    def _drawn(self, sight: StoreView, seconds: float) -> Group:
        clock = Table.grid(padding=(0, 2))
        clock.add_row(
            Text("positionstore", style="bold"),
            ProgressBar(total=self._seconds, completed=seconds, width=10),
            Text(f"{seconds:.0f} of {self._seconds:.0f} s"),
        )
        # A column that must not wrap is the last to be narrowed: the text does not, the column may.
        counts = Table.grid(padding=(0, 2))
        counts.add_column(min_width=20, no_wrap=True)
        counts.add_column(justify="right", style="bold", min_width=7, no_wrap=True)
        counts.add_column(style="dim")
        for name, count, words in _counts(sight):
            counts.add_row(name, f"{count:,}", Text(words, no_wrap=True, overflow="ellipsis"))
        bars = Table.grid(padding=(0, 2))
        bars.add_column(min_width=20, no_wrap=True)
        bars.add_column(justify="right", style="bold", min_width=7, no_wrap=True)
        bars.add_column()
        line = "-" if self._console.options.ascii_only else "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
        widest = max(1, min(_WIDEST_BAR, self._console.width - _BESIDE_A_BAR))
        most = max(sight.positions.values(), default=0)
        for status, count in sight.positions.items():
            bar = line * round(widest * count / max(most, 1))
            bars.add_row(
                Text(printable(status)),
                f"{count:,}",
                Text(bar, style="cyan", no_wrap=True, overflow="crop"),
            )
        heading = Text("Positions by status", style="bold")
        return Group("", clock, "", counts, "", heading, bars, "")


class Lines:
    """A line now and then, without a terminal."""

    def __init__(self) -> None:
        self._due = 0.0
        self._latest = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._latest:
            print_line(self._latest)

    def say(self, line: str) -> None:
        """Print a line."""
        print_line(line)
        sys.stdout.flush()

    def show(self, sight: StoreView, seconds: float) -> None:
        """Print what there is to see, unless that was done a moment ago; the last is printed."""
        counts = ", ".join(f"{count:,} {name}" for name, count, _ in _counts(sight))
        positions = ", ".join(
            f"{count:,} {status}" for status, count in sight.positions.items() if count
        )
        self._latest = f"{seconds:3.0f} s: {counts}; positions: {positions or 'none'}"
        if seconds >= self._due:
            self._due = seconds + _LINE_EVERY
            self.say(self._latest)
            self._latest = ""


def view(seconds: float) -> Picture | Lines:
    """Return the view that suits standard output."""
    console = Console()
    if console.is_terminal and not console.is_dumb_terminal:
        return Picture(console, seconds)
    return Lines()


def _counts(sight: StoreView) -> list[tuple[str, int, str]]:
    return [
        ("events in", sight.events, "each once, in the append-only log"),
        ("duplicates dropped", sight.duplicates, "the log had them already"),
        ("out of order", sight.out_of_order, "put in their place by the order of facts"),
        ("quarantined", sight.quarantined, "could not be understood, kept whole"),
        ("connections", sight.connections, "the gateway cuts them, the ingester comes back"),
        ("recovered", sight.recovered, "emitted during an outage, fetched after it"),
    ]
