"""What a demo looks like, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from positionstore.cli.demo_view import Lines, Picture
from positionstore.demo.view import StoreView


def sight(events: int, **positions: int) -> StoreView:
    return StoreView(
        events=events,
        positions=positions,
        duplicates=61,
        out_of_order=212,
        quarantined=3,
        connections=4,
    )


@pytest.mark.parametrize("width", [40, 60, 120])
def test_the_picture_shows_the_latest_counts_and_bars_by_the_most_frequent_status(
    width: int,
) -> None:
    terminal = io.StringIO()
    console = Console(
        file=terminal, force_terminal=True, width=width, height=50, no_color=True, highlight=False
    )
    with Picture(console, seconds=20) as picture:
        picture.show(sight(7, pending=1), 0.0)
        terminal.truncate(0)
        picture.show(sight(1234, open=20, closed=10, settled=0), 12.3)
    lines = [line.strip() for line in terminal.getvalue().splitlines()]

    def line_of(name: str) -> str:
        return next(line for line in lines if name in line)

    assert "12 of 20 s" in line_of("positionstore")
    assert "1,234" in line_of("events in")
    assert "61" in line_of("duplicates dropped")
    assert "212" in line_of("out of order")
    bar = "\N{BOX DRAWINGS HEAVY HORIZONTAL}"
    assert line_of("open").count(bar) > line_of("closed").count(bar) > 0
    assert bar not in line_of("settled")


def test_a_status_from_the_wire_cannot_speak_to_the_terminal() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=120, height=50)
    with Picture(console, seconds=20) as picture:
        picture.show(sight(1, **{"\x1b[31mred[bold]": 1}), 1.0)
    assert "\x1b[31mred" not in terminal.getvalue()
    assert r"\x1b[31mred[bold]" in terminal.getvalue()


def test_elsewhere_there_is_a_line_now_and_then_and_the_last_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Lines() as lines:
        for second in range(8):
            lines.show(sight(100 * second, open=second), float(second))
    assert [line.split(", ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "  0 s: 0 events in",
        "  5 s: 500 events in",
        "  7 s: 700 events in",
    ]
