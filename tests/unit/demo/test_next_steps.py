"""What a demo suggests, as it is typed into a shell."""

import os
from pathlib import Path

import pytest

from positionstore.demo.next_steps import commands, shown


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in a checkout, which is the present directory; it is not on the PATH."""
    path = tmp_path / ".venv" / "bin" / "positionstore"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("HOME", "/nowhere")
    return path


def test_a_program_below_the_present_directory_is_called_as_the_readme_calls_it(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown([program], anywhere=False) == ".venv/bin/positionstore"
    monkeypatch.chdir(program.parent)
    assert shown([program], anywhere=False) == "./positionstore"


def test_elsewhere_it_is_called_by_its_whole_path(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown([program], anywhere=True) == str(program)
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(program.parents[2]))
    assert shown([program], anywhere=True) == "~/.venv/bin/positionstore"


@pytest.mark.parametrize("anywhere", [False, True])
def test_on_the_path_its_name_will_do(
    program: Path, monkeypatch: pytest.MonkeyPatch, anywhere: bool
) -> None:
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.defpath}")
    assert shown([program], anywhere=anywhere) == "positionstore"
    other = program.with_name("other") / program.name
    assert shown([other], anywhere=True) == str(other), "of two of the name, not the wrong one"


def test_no_line_of_sql_is_wider_than_a_terminal() -> None:
    for _, pasted in commands("positionstore", Path("/data"), shielded=False):
        first, *sql = pasted.splitlines()
        assert "positionstore " in first
        assert max(map(len, sql), default=0) <= 80
