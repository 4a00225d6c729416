"""What a person or a program gets to read."""

import io
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from positionstore.cli import main
from positionstore.cli.console import (
    print_exact,
    print_json,
    print_line,
    print_table,
    progress,
)
from positionstore.embedded.server import to_stderr


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


class OnTerminal(Protocol):
    def __call__(self, name: str, *, width: int = 80) -> Terminal: ...


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> OnTerminal:
    def put(name: str, *, width: int = 80) -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, name, stream)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        return stream

    return put


def test_elsewhere_than_on_a_terminal_a_table_is_tab_separated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)

    print_table(("name", "n", "at", "so"), [("a\tb", 1234567, at, True), (None, 2, None, False)])

    assert capsys.readouterr().out == (
        "name\tn\tat\tso\na\\tb\t1234567\t2026-07-01 12:00:00+00:00\tyes\n\t2\t\tno\n"
    )


def test_a_line_is_broken_between_words_on_a_terminal_and_nowhere_else(
    on_terminal: OnTerminal, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "A line that is longer than the terminal, with a-word-that-is-longer-still in it."

    print_line(text)
    assert capsys.readouterr().out == f"{text}\n"

    stream = on_terminal("stdout", width=20)
    print_line(text)
    print_line("")
    assert stream.getvalue() == (
        "A line that is\nlonger than the\nterminal, with\na-word-that-is-longer-still\nin it.\n\n"
    )


def test_an_error_is_one_line_that_a_terminal_breaks_between_words(
    on_terminal: OnTerminal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nonsense"]) == 2
    (line,) = capsys.readouterr().err.splitlines()

    stream = on_terminal("stderr", width=30)
    assert main(["nonsense"]) == 2
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 30
    assert " ".join(lines) == line


@pytest.mark.parametrize(("width", "explained"), [(80, False), (120, True)])
def test_the_settings_fit_a_terminal(
    on_terminal: OnTerminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    explained: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = on_terminal("stdout", width=width)

    assert main(["config"]) == 0

    shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert max(map(len, shown.splitlines())) <= width
    assert "DIMES_API_KEY" in shown
    assert ("meaning" in shown) is explained


def test_on_a_terminal_a_table_is_drawn_and_markup_is_text(on_terminal: OnTerminal) -> None:
    stream = on_terminal("stdout")

    print_table(
        ("id", "count"), [("[red]x[/]", 1234567), ("[/nothing]\x1b[31m", 1)], title="[b]Things"
    )

    drawn = stream.getvalue()
    assert "[b]Things" in drawn
    assert "[red]x[/]" in drawn
    assert r"[/nothing]\x1b[31m" in drawn
    assert "1,234,567" in drawn
    assert "\x1b[31m" not in drawn


def test_on_a_narrow_terminal_no_value_is_cut_short(on_terminal: OnTerminal) -> None:
    stream = on_terminal("stdout", width=40)

    print_table(("variable", "value"), [("A_VARIABLE", "v" * 100)])

    assert stream.getvalue().count("v") >= 100
    assert "…" not in stream.getvalue()


def test_json_is_one_line_that_any_program_reads(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"at": datetime(2026, 7, 1, tzinfo=UTC), "text": "é\x1b\u202e\n", "n": 10**30}

    print_json(value)

    line, *more = capsys.readouterr().out.splitlines()
    assert more == []
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == value | {"at": "2026-07-01T00:00:00+00:00"}


def test_a_printed_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("a\nb")

    assert capsys.readouterr().out == "a\\nb\n"


def test_what_is_to_be_pasted_is_exact_but_for_a_terminal(
    on_terminal: OnTerminal, capsys: pytest.CaptureFixture[str]
) -> None:
    print_exact("a\x1b[31m\nb")
    assert capsys.readouterr().out == "a\x1b[31m\nb\n"

    stream = on_terminal("stdout")
    print_exact("a\x1b[31m\nb")
    assert stream.getvalue() == "a\\x1b[31m\nb\n"


def test_what_the_store_says_meanwhile_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    to_stderr("held by x\x1b[2J\ny; trying again.")

    assert capsys.readouterr().err == "held by x\\x1b[2J\\ny; trying again.\n"


def test_elsewhere_than_on_a_terminal_progress_shows_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress("Reading", unit="bytes") as show:
        show(1, 2)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "unit", "shown"),
    [
        (None, "positions", "1500/? positions"),
        (2000, "positions", "1500/2000 positions"),
        (None, "bytes", "1.5/? kB"),
        (2000, "bytes", "1.5/2.0 kB"),
    ],
)
def test_on_a_terminal_progress_is_shown(
    on_terminal: OnTerminal, total: int | None, unit: str, shown: str
) -> None:
    stream = on_terminal("stderr", width=120)

    with progress("Reading [b]", unit=unit) as show:
        show(1500, total, "[i] 3 new")

    drawn = " ".join(stream.getvalue().split())
    assert shown in drawn
    assert "Reading [b]" in drawn
    assert "[i] 3 new" in drawn
