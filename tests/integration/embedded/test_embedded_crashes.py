"""What was killed, and what its remains are mistaken for."""

import errno
import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from support.harness.disk import small_disk
from support.server_user import (
    QUICK,
    kill_all,
    postgres_processes,
    postmaster,
    server_user,
)
from support.waiting import DEADLINE, wait_until

from positionstore.embedded import server as embedded
from positionstore.errors import ConfigurationError, DatabaseUnavailableError
from positionstore.settings import load_settings
from positionstore.store.database import opened

pytestmark = pytest.mark.slow


@pytest.fixture
def stranger(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A living process of the server's own user that has nothing to do with it."""
    owner = _server_user(data_dir)
    with subprocess.Popen(["sleep", "1000"], user=owner, cwd="/") as process:
        yield process
        process.kill()


def _server_user(data_dir: Path) -> int:
    with embedded.running(data_dir, settings=QUICK):
        return (data_dir / "postgres" / "cluster").stat().st_uid


def _crash(data_dir: Path) -> None:
    """Leave the data directory as a power cut would."""
    kill_all(data_dir)
    wait_until(lambda: not postgres_processes(data_dir), "the server is gone")


def _answer(server: embedded.EmbeddedServer) -> object:
    with psycopg.connect(server.url()) as connection:
        return connection.execute("SELECT 1").fetchone()


def test_a_stale_pid_file_that_names_a_living_stranger_harms_neither(
    data_dir: Path, stranger: subprocess.Popen[bytes]
) -> None:
    server = embedded.ensure_running(data_dir, settings=QUICK)
    _crash(data_dir)
    cluster = data_dir / "postgres" / "cluster"
    for file in (cluster / "postmaster.pid", cluster / f".s.PGSQL.{server.port}.lock"):
        lines = file.read_text().splitlines()
        file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    assert not embedded.stop(data_dir), "there is no server to stop"
    assert stranger.poll() is None

    for file in (cluster / "postmaster.pid", cluster / f".s.PGSQL.{server.port}.lock"):
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
    with embedded.running(data_dir, settings=QUICK) as again:
        assert _answer(again) == (1,)
    embedded.release(server)
    assert postgres_processes(data_dir) == []
    assert stranger.poll() is None


def test_a_stranger_that_works_in_the_data_directory_is_no_server(data_dir: Path) -> None:
    _server_user(data_dir)
    cluster = data_dir / "postgres" / "cluster"
    with subprocess.Popen(["sleep", "1000"], cwd=cluster) as shell:
        (cluster / "postmaster.pid").write_text(f"{shell.pid}\n{cluster}\n0\n5432\n\n\n\nready\n")
        with embedded.running(data_dir, settings=QUICK) as server:
            assert _answer(server) == (1,)
        assert shell.poll() is None
        shell.kill()


@pytest.mark.parametrize("content", ["", "\n", "garbage\n", "-1\n"])
def test_a_damaged_pid_file_is_no_obstacle(data_dir: Path, content: str) -> None:
    _server_user(data_dir)
    (data_dir / "postgres" / "cluster" / "postmaster.pid").write_text(content)
    with embedded.running(data_dir, settings=QUICK) as server:
        assert _answer(server) == (1,)


def test_the_next_user_stops_what_a_killed_owner_left_running(data_dir: Path) -> None:
    with server_user(data_dir) as owner:
        port = owner.port()
        head = postmaster(data_dir)
        owner.kill()
        assert head.is_running()
        with embedded.running(data_dir) as server:
            assert server.port == port
            assert postmaster(data_dir).pid == head.pid
        assert postgres_processes(data_dir) == []


def test_a_killed_user_does_not_take_the_server_from_the_others(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK) as server, server_user(data_dir) as other:
        other.port()
        other.kill()
        assert _answer(server) == (1,)


def test_a_killed_server_is_started_again_with_everything_committed(data_dir: Path) -> None:
    server = embedded.ensure_running(data_dir)
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    postmaster(data_dir).kill()
    with embedded.running(data_dir) as again:
        assert again.url() == server.url()
        with psycopg.connect(again.url()) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
        embedded.release(server)
        assert _answer(again) == (1,)
    assert postgres_processes(data_dir) == []


def test_who_works_on_a_server_that_is_killed_starts_it_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with opened(load_settings(data_dir=data_dir), check=False) as store:
        with store.connect() as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        for _ in range(2):
            _crash(data_dir)
            with store.connect() as connection:
                assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    assert postgres_processes(data_dir) == []


def test_a_server_that_is_stopped_on_purpose_is_started_by_nobody_who_works_on_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with opened(load_settings(data_dir=data_dir), check=False) as store:
        assert embedded.stop(data_dir)
        with pytest.raises(DatabaseUnavailableError):
            store.connect()
        assert postgres_processes(data_dir) == []


def test_a_child_that_outlives_its_killed_server_is_ended_before_the_next_start(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_ORPHANS_GRACE", 0.3)
    server = embedded.ensure_running(data_dir, settings=QUICK)
    with psycopg.connect(server.url()) as connection:
        child = psutil.Process(connection.info.backend_pid)
        child.suspend()
        postmaster(data_dir).kill()
        # The logger stays as long as anyone may have something to log.
        wait_until(lambda: len(postgres_processes(data_dir)) <= 2, "the others are gone")
        with embedded.running(data_dir, settings=QUICK) as again:
            assert child not in postgres_processes(data_dir)
            assert _answer(again) == (1,)
    embedded.release(server)


def test_a_server_that_cannot_be_seen_is_not_joined_by_a_second_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_ORPHANS_GRACE", 0.2)
    with embedded.running(data_dir, settings=QUICK) as server:
        with monkeypatch.context() as blind:
            blind.setattr(embedded, "find_postmaster", lambda *_: None)
            blind.setattr(embedded, "survivors", lambda *_: iter(()))
            with pytest.raises(DatabaseUnavailableError, match="in another container"):
                embedded.ensure_running(data_dir)
        assert _answer(server) == (1,)


@pytest.fixture
def slow_recovery(data_dir: Path) -> Path:
    """Let the next start take until the returned file is there: it recovers from an archive."""
    server = embedded.ensure_running(data_dir, settings=QUICK)
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    _crash(data_dir)
    embedded.release(server)
    cluster = data_dir / "postgres" / "cluster"
    (cluster / "recovery.signal").touch()
    os.chown(cluster / "recovery.signal", cluster.stat().st_uid, cluster.stat().st_gid)
    return cluster / "enough"


ARCHIVE_SETTINGS = {
    **QUICK,
    "restore_command": "until [ -e enough ]; do sleep 0.05; done; exit 1",
}


def test_a_recovery_may_take_as_long_as_it_takes_and_says_so(
    data_dir: Path, slow_recovery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_FIRST_WORD_AFTER", 0.5)
    monkeypatch.setattr(embedded, "_NEXT_WORD_AFTER", 0.5)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            slow_recovery.touch()

    with (
        embedded.running(data_dir, say=say, settings=ARCHIVE_SETTINGS) as server,
        psycopg.connect(server.url()) as connection,
    ):
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    assert len(said) >= 3
    assert "repairs itself, which can take minutes" in said[0]
    assert "It says: " in said[0]


def test_who_comes_during_a_recovery_whose_starter_was_killed_waits_for_its_end(
    data_dir: Path, slow_recovery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_FIRST_WORD_AFTER", 0.2)
    said: list[str] = []
    starter = os.fork()
    if starter == 0:
        embedded.ensure_running(data_dir, say=said.append, settings=ARCHIVE_SETTINGS)
        os._exit(0)
    wait_until(lambda: len(postgres_processes(data_dir)) > 1, "the recovery has begun")
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)
    head = postmaster(data_dir).pid

    def say(line: str) -> None:
        said.append(line)
        slow_recovery.touch()

    with embedded.running(data_dir, say=say) as server:
        assert postmaster(data_dir).pid == head
        assert _answer(server) == (1,)
    assert "repairs itself" in said[0]
    assert postgres_processes(data_dir) == []


def test_a_start_that_is_interrupted_leaves_no_server(
    data_dir: Path, slow_recovery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_FIRST_WORD_AFTER", 0.2)

    def ctrl_c(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedded.ensure_running(data_dir, say=ctrl_c, settings=ARCHIVE_SETTINGS)
    slow_recovery.touch()
    wait_until(lambda: not postgres_processes(data_dir), "the server is gone")


def test_who_waits_for_another_that_starts_is_told_so(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_FIRST_WORD_AFTER", 0.1)
    told = threading.Event()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        told.set()

    def use() -> None:
        with embedded.running(data_dir, say=say, settings=QUICK):
            pass

    home = embedded._Home.at(data_dir)
    with home.exclusively(say):
        waiting = threading.Thread(target=use)
        waiting.start()
        assert told.wait(DEADLINE)
    waiting.join(DEADLINE)
    assert not waiting.is_alive()
    assert said[0] == "Waiting for another process that starts or stops the database."


def test_a_server_that_does_not_start_says_why_in_its_own_words(data_dir: Path) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        embedded.ensure_running(data_dir, settings={**QUICK, "shared_buffers": "plenty"})
    assert 'invalid value for parameter "shared_buffers": "plenty"' in str(caught.value)
    assert "Its log is in" in str(caught.value)
    assert "\n" not in str(caught.value)
    with embedded.running(data_dir, settings=QUICK) as server:
        assert _answer(server) == (1,)


def test_an_interrupted_initialisation_is_begun_anew(data_dir: Path) -> None:
    (data_dir / "postgres" / "initdb-killed" / "cluster").mkdir(parents=True)
    with embedded.running(data_dir, settings=QUICK) as server:
        assert _answer(server) == (1,)
    assert list((data_dir / "postgres").glob("initdb-*")) == []


def test_a_full_disk_is_named_and_stops_nothing_for_good(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with small_disk(tmp_path / "small", megabytes=100) as disk:
        if disk is None:
            pytest.skip("this machine lets us mount nothing")
        data_dir = disk.path / "data"
        disk.fill(all_but=10_000_000)
        with pytest.raises(
            DatabaseUnavailableError, match=r"No space left on device.*room on the disk"
        ):
            embedded.ensure_running(data_dir)
        assert not (data_dir / "postgres" / "cluster").exists()
        disk.free()
        with embedded.running(data_dir, settings=QUICK) as server:
            assert _answer(server) == (1,)
        disk.fill()
        with pytest.raises(DatabaseUnavailableError, match="No space left on device"):
            embedded.ensure_running(data_dir)
        disk.free()
        with embedded.running(data_dir, settings=QUICK) as server:
            assert _answer(server) == (1,)


def test_files_of_a_version_that_is_not_installed_are_refused_with_a_remedy(
    data_dir: Path,
) -> None:
    _server_user(data_dir)
    (data_dir / "postgres" / "cluster" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 14.*Install PostgreSQL 14"):
        embedded.ensure_running(data_dir)


def test_a_lost_password_is_named(data_dir: Path) -> None:
    _server_user(data_dir)
    (data_dir / "postgres" / "password").unlink()
    with pytest.raises(ConfigurationError, match="password cannot be read"):
        embedded.ensure_running(data_dir)


def test_a_wrong_password_is_named(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK):
        (data_dir / "postgres" / "password").write_text("wrong\n")
        with pytest.raises(ConfigurationError, match="does not accept the password"):
            embedded.ensure_running(data_dir)


def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used: File exists"):
        embedded.ensure_running(tmp_path / "file")


def test_a_file_system_that_refuses_a_file_is_named(data_dir: Path) -> None:
    _server_user(data_dir)
    # A folder in the place of a file can be written by nobody, not even by root.
    (data_dir / "postgres" / "port").unlink()
    (data_dir / "postgres" / "port").mkdir()
    with pytest.raises(DatabaseUnavailableError, match=r"Is a directory .*room on the disk"):
        embedded.ensure_running(data_dir, settings=QUICK)
    (data_dir / "postgres" / "port").rmdir()
    with embedded.running(data_dir) as server:
        assert _answer(server) == (1,)
    assert postgres_processes(data_dir) == []


def test_a_file_system_without_locks_is_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigurationError, match="without locks: No locks available"):
        embedded.ensure_running(data_dir)
