"""Whom the server runs as, and whose permissions stay as they were."""

import os
import pwd
import shutil
import stat
from pathlib import Path

import psycopg
import pytest
from support.server_user import (
    QUICK,
    is_root,
    kill_all,
    postgres_processes,
    postmaster,
    server_user,
)

from positionstore.embedded import binaries
from positionstore.embedded import os_user as account
from positionstore.embedded import server as embedded
from positionstore.errors import ConfigurationError

NOBODY = pwd.getpwnam("nobody")

as_root = pytest.mark.skipif(not is_root(), reason="only root can become another user")


def _modes(path: Path) -> dict[Path, tuple[int, int]]:
    return {
        parent: (parent.stat().st_mode, parent.stat().st_uid) for parent in path.resolve().parents
    }


def test_permissions_of_parent_directories_are_left_alone(data_dir: Path) -> None:
    private = data_dir / "private"
    private.mkdir(mode=0o700)
    deep = private / "not yet" / "there"
    before = _modes(deep.parent)
    with embedded.running(deep, settings=QUICK) as server:
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert _modes(deep.parent) == before
    assert _modes(deep.parent) == before
    assert stat.S_IMODE((deep / "postgres").stat().st_mode) == 0o700
    kill_all(deep)


@as_root
def test_root_starts_it_as_an_unprivileged_user_below_a_private_folder(data_dir: Path) -> None:
    private = data_dir / "private"
    private.mkdir(mode=0o700)
    with embedded.running(private / "data", settings=QUICK):
        head = postmaster(private / "data")
        assert all(uid != 0 for uid in head.uids())
        assert all(gid != 0 for gid in head.gids())
        status = Path(f"/proc/{head.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Groups"].strip() == ""
        assert int(fields["CapEff"], 16) == 0
    assert postgres_processes(private / "data") == []


@as_root
def test_postgresql_15_too_is_started_by_root_below_a_private_folder(data_dir: Path) -> None:
    programs = Path("/usr/lib/postgresql/15/bin")
    if not programs.is_dir():
        pytest.skip("PostgreSQL 15 is not installed")
    private = data_dir / "private"
    private.mkdir(mode=0o700)
    with (
        embedded.running(private / "data", bin_dir=programs, settings=QUICK) as server,
        psycopg.connect(server.url()) as connection,
    ):
        assert connection.info.server_version // 10_000 == 15
    assert postgres_processes(private / "data") == []


@as_root
def test_an_ordinary_user_has_a_server_that_runs_as_that_user(data_dir: Path) -> None:
    os.chown(data_dir, NOBODY.pw_uid, NOBODY.pw_gid)
    with server_user(data_dir, uid=NOBODY.pw_uid) as user:
        user.port()
        assert postmaster(data_dir).uids().effective == NOBODY.pw_uid
        user.leave()
    assert postgres_processes(data_dir) == []


@as_root
def test_root_and_the_owner_of_a_data_directory_share_a_server(data_dir: Path) -> None:
    os.chown(data_dir, NOBODY.pw_uid, NOBODY.pw_gid)
    with embedded.running(data_dir, settings=QUICK) as server:
        assert postmaster(data_dir).uids().effective == NOBODY.pw_uid
        with server_user(data_dir, uid=NOBODY.pw_uid) as owner:
            assert owner.port() == server.port
            owner.leave()
    with server_user(data_dir, uid=NOBODY.pw_uid) as owner:
        owner.port()
        owner.leave()
    assert postgres_processes(data_dir) == []


@as_root
def test_another_users_data_directory_is_refused_in_one_line(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK):
        pass
    with (
        server_user(data_dir, uid=NOBODY.pw_uid) as intruder,
        pytest.raises(AssertionError) as caught,
    ):
        intruder.port()
    assert "ConfigurationError" in str(caught.value)
    assert "Choose another POSITIONSTORE_DATA_DIR" in str(caught.value)


@as_root
def test_files_that_root_owns_are_refused_with_the_remedy(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK):
        pass
    os.chown(data_dir / "postgres" / "cluster", 0, 0)
    with pytest.raises(ConfigurationError, match="chown -R postgres"):
        embedded.ensure_running(data_dir)


def linked(source: str, copy: str) -> None:
    """Link a file, or copy it where the two are on different disks."""
    try:
        os.link(source, copy)
    except OSError:
        shutil.copy2(source, copy)


@as_root
def test_programs_below_a_private_folder_are_copied_once_to_where_they_can_be_executed(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = binaries.find_binaries()
    install = found.directory.parent
    package = data_dir / "private" / install.parent.name
    package.mkdir(mode=0o700, parents=True)
    package.parent.chmod(0o700)
    shutil.copytree(install, package / install.name, copy_function=linked)
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, package.with_name(libraries.name), copy_function=linked)
    home = data_dir / "readable"
    data_dir.chmod(0o755)
    monkeypatch.setattr(embedded, "REACHABLE_HOME", home)
    for _ in range(2):
        with embedded.running(
            data_dir, bin_dir=package / install.name / "bin", settings=QUICK
        ) as server:
            with psycopg.connect(server.url()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            assert Path(postmaster(data_dir).exe()).is_relative_to(home)
    assert len(list(home.iterdir())) == 1
    assert stat.S_IMODE(package.parent.stat().st_mode) == 0o700


@as_root
def test_programs_that_can_be_neither_executed_nor_copied_are_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = data_dir / "private" / "bin"
    private.mkdir(parents=True)
    private.parent.chmod(0o700)
    for name in ("postgres", "initdb", "pg_ctl"):
        (private / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.0'\n")
        (private / name).chmod(0o755)
    (data_dir / "file").touch()
    monkeypatch.setattr(embedded, "REACHABLE_HOME", data_dir / "file")
    with pytest.raises(ConfigurationError, match=r"cannot execute .* cannot be copied .*PG_BIN"):
        embedded.ensure_running(data_dir, bin_dir=private)


@as_root
def test_root_of_a_container_that_may_not_look_at_other_users_knows_its_server(
    data_dir: Path,
) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    blind = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--")
    with (
        server_user(data_dir, prefix=blind) as first,
        server_user(data_dir, prefix=blind) as second,
    ):
        assert first.port() == second.port()
        first.leave()
        assert postgres_processes(data_dir) != []
        second.leave()
    assert postgres_processes(data_dir) == []


@as_root
def test_without_any_other_user_root_is_told_so(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_PREFERRED", ("no such user",))
    with pytest.raises(ConfigurationError, match="refuses to run as root"):
        embedded.ensure_running(data_dir)
