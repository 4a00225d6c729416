import os
import subprocess
from pathlib import Path

import pytest

from positionstore.embedded.postmaster import disown_stranger, find_postmaster, survivors


def _pid_file(cluster: Path, pid: int) -> Path:
    path = cluster / "postmaster.pid"
    path.write_text(f"{pid}\n{cluster}\n1\n5432\n.\n127.0.0.1\n  123 7\nready   \n")
    return path


def test_no_pid_file_is_no_server(tmp_path: Path) -> None:
    assert find_postmaster(tmp_path) is None
    disown_stranger(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_is_no_server_for_its_number_alone(tmp_path: Path) -> None:
    _pid_file(tmp_path, os.getpid())
    assert find_postmaster(tmp_path) is None


def test_a_process_that_works_in_the_directory_is_no_server_for_that_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"], cwd=tmp_path) as process:
        _pid_file(tmp_path, process.pid)
        assert find_postmaster(tmp_path) is None
        assert list(survivors(tmp_path)) == []
        process.kill()


def test_a_strangers_number_is_struck_out_and_the_shared_memory_stays_named(
    tmp_path: Path,
) -> None:
    path = _pid_file(tmp_path, os.getpid())
    before = path.read_text().splitlines()
    (tmp_path / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    disown_stranger(tmp_path)
    after = path.read_text().splitlines()
    with pytest.raises(ProcessLookupError):
        os.kill(int(after[0]), 0)
    assert after[1:] == before[1:]
    assert not (tmp_path / ".s.PGSQL.5432.lock").exists()


def test_a_number_that_nobody_has_is_left_to_postgresql(tmp_path: Path) -> None:
    path = _pid_file(tmp_path, 2**31 - 7)
    before = path.read_text()
    disown_stranger(tmp_path)
    assert path.read_text() == before


@pytest.mark.parametrize("content", ["", "\n", "garbage\n", "0\n", "-5\n"])
def test_a_damaged_pid_file_is_removed(tmp_path: Path, content: str) -> None:
    (tmp_path / "postmaster.pid").write_text(content)
    assert find_postmaster(tmp_path) is None
    disown_stranger(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()
