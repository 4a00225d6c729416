"""What docs/operations.md tells an operator to install can be installed."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from positionstore.cli import main
from positionstore.cli.commands import COMMANDS, SCRIPTS, load

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
UNITS = dict(re.findall(r"`/etc/systemd/system/(\S+)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL))
CRON = re.findall(r"^(\S+ \S+ \S+ \S+ \S+)  (cd .*)$", PAGE, re.MULTILINE)
BEGINNING = "## Three in the morning: the stream has been down for six hours"
FILES = {"scripts/backfill.py": "backfill", "scripts/nightly_reconcile.py": "nightly"}


def test_it_begins_at_three_in_the_morning() -> None:
    assert PAGE.startswith(f"# Operations\n\n{BEGINNING}\n")


def test_there_is_a_unit_for_the_service_and_a_timer_for_both_scripts() -> None:
    assert set(UNITS) == {
        "positionstore.service",
        "positionstore@.service",
        "positionstore-nightly.service",
        "positionstore-nightly.timer",
        "positionstore-backfill.service",
        "positionstore-backfill.timer",
    }


def understood(words: list[str]) -> bool:
    """Whether the command line after the program is one that the program takes."""
    program, *arguments = words
    if program.endswith("/positionstore"):
        name, *arguments = arguments
        assert name in COMMANDS
    else:
        (name,) = (FILES[path] for path in FILES if program.endswith(path))
        assert name in SCRIPTS or name in COMMANDS
        assert (ROOT / program.removeprefix("/opt/positionstore/")).stat().st_mode & 0o111
    if not hasattr(load(name), "commands"):  # a group wants one of them to follow
        load(name).make_context(name, arguments)
    return True


@pytest.mark.parametrize("name", sorted(UNITS))
def test_every_unit_can_be_read_and_starts_what_there_is(name: str) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # as the library documents it
    unit.read_string(UNITS[name])

    if name.endswith(".timer"):
        assert f"{name.removesuffix('.timer')}.service" in UNITS
        assert unit["Install"]["WantedBy"] == "timers.target"
    else:
        assert understood(shlex.split(unit["Service"]["ExecStart"]))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        # Neither the programs nor the user are on this machine.
        told = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
        (tmp_path / name).write_text(told, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    ours = [line for line in done.stderr.splitlines() if "positionstore" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("when", re.findall(r"(?m)^OnCalendar=(.*)$", PAGE))
def test_systemd_understands_when(when: str) -> None:
    subprocess.run(["systemd-analyze", "calendar", when], check=True, capture_output=True)


@pytest.mark.parametrize(("when", "what"), CRON)
def test_every_crontab_line_starts_what_there_is(when: str, what: str) -> None:
    assert all(re.fullmatch(r"[*]|[*]/\d+|\d+", field) for field in when.split())
    assert "%" not in what  # which crontab takes for the end of the line
    _, _, command = what.partition(" && ")
    words = shlex.split(re.split(r" (?:\|\||>>) ", command)[0])
    assert understood([f"/opt/positionstore/{words[0]}", *words[1:]])


def test_there_is_a_crontab_line_for_both_scripts() -> None:
    assert {script for script in FILES for _, what in CRON if script in what} == set(FILES)


@pytest.mark.parametrize(
    "line", re.findall(r"positionstore ((?:[a-z]+)(?: [A-Z_]+)?(?: --[^`#\n|]*)?)", PAGE)
)
def test_every_command_that_is_named_there_is_understood(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *arguments = shlex.split(line)
    if name not in COMMANDS:
        pytest.skip("a word of the text")
    assert main([name, *arguments, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out
    if not hasattr(load(name), "commands"):  # a group wants one of them to follow
        load(name).make_context(name, arguments)


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_every_exit_code_is_explained(code: int) -> None:
    _, _, part = PAGE.partition("## What each exit code means for an alert")
    assert f"\n| {code} | " in part
