"""Who starts the server, who shares it, and who stops it."""

import os
import socket
import stat
from pathlib import Path

import psycopg
import pytest
from support.server_user import (
    QUICK,
    ServerUser,
    kill_all,
    postgres_processes,
    postmaster,
    server_user,
)

from positionstore.embedded import cluster
from positionstore.embedded import server as embedded


def test_the_first_user_starts_it_and_the_last_one_stops_it(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK) as first:
        head = postmaster(data_dir).pid
        with server_user(data_dir) as other:
            assert other.port() == first.port
            assert postmaster(data_dir).pid == head
            other.leave()
        assert postmaster(data_dir).pid == head
    assert postgres_processes(data_dir) == []


def test_it_outlives_the_one_who_started_it(data_dir: Path) -> None:
    with server_user(data_dir) as starter:
        port = starter.port()
        with embedded.running(data_dir) as server:
            starter.leave()
            assert server.port == port
            with psycopg.connect(server.url()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
    assert postgres_processes(data_dir) == []


def test_one_process_may_use_it_twice(data_dir: Path) -> None:
    first = embedded.ensure_running(data_dir, settings=QUICK)
    second = embedded.ensure_running(data_dir)
    assert first.url() == second.url()
    embedded.release(first)
    embedded.release(first)
    assert postgres_processes(data_dir) != []
    embedded.release(second)
    assert postgres_processes(data_dir) == []


def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    users = [ServerUser(data_dir) for _ in range(4)]
    try:
        ports = {user.port() for user in users}
        heads = postmaster(data_dir)
        assert len(ports) == 1
        assert heads.is_running()
        for user in users:
            user.leave()
    finally:
        for user in users:
            user.kill()
    assert postgres_processes(data_dir) == []


def test_what_was_stored_is_there_at_the_next_start_on_the_same_port(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK) as server:
        url = server.url()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with embedded.running(data_dir, settings=QUICK) as again:
        assert again.url() == url
        with psycopg.connect(again.url()) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_it_moves_to_another_port_where_its_own_was_taken(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK) as server:
        port = server.port
    with (
        socket.create_server(("127.0.0.1", port)),
        embedded.running(data_dir, settings=QUICK) as again,
        psycopg.connect(again.url()) as connection,
    ):
        assert again.port != port
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_port_that_is_taken_at_the_last_moment_costs_one_more_try(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = cluster.choose_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answers = iter([taken.getsockname()[1]])
        monkeypatch.setattr(
            cluster, "choose_port", lambda wish=None: next(answers, None) or honest(wish)
        )
        with embedded.running(data_dir, settings=QUICK) as server:
            assert server.port != taken.getsockname()[1]


def test_a_kept_server_goes_on_until_it_is_stopped(data_dir: Path) -> None:
    try:
        with embedded.running(data_dir, keep=True, settings=QUICK) as server:
            url = server.url()
        with embedded.running(data_dir):
            pass
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert embedded.stop(data_dir)
        assert postgres_processes(data_dir) == []
        assert not embedded.stop(data_dir)
        with embedded.running(data_dir, settings=QUICK):
            pass
        assert postgres_processes(data_dir) == [], "keeping ends with the life that was kept"
    finally:
        kill_all(data_dir)


def test_nothing_is_stopped_or_made_where_nothing_was(tmp_path: Path) -> None:
    assert not embedded.stop(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_files_in_use_are_not_removed(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK):
        assert not embedded.remove_unused(data_dir)
    assert embedded.remove_unused(data_dir)
    assert not (data_dir / "postgres" / "cluster").exists()


def test_a_password_is_asked_for_and_lies_in_a_private_file(data_dir: Path) -> None:
    before = os.umask(0)
    try:
        with embedded.running(data_dir, settings=QUICK) as server:
            file = data_dir / "postgres" / "password"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert file.read_text() == server.password + "\n"
            assert server.password not in repr(server)
            with psycopg.connect(server.url()) as connection:
                stored = connection.execute(
                    "SELECT rolpassword FROM pg_authid WHERE rolname = 'positionstore'"
                ).fetchone()
                rules = connection.execute(
                    "SELECT DISTINCT auth_method FROM pg_hba_file_rules"
                ).fetchall()
            assert stored is not None
            assert stored[0].startswith("SCRAM-SHA-256$")
            assert rules == [("scram-sha-256",)]
            for host in ("127.0.0.1", server.socket_directory):
                with pytest.raises(psycopg.OperationalError, match="password"):
                    psycopg.connect(
                        f"host='{host}' port={server.port} user=positionstore password=wrong"
                    )
    finally:
        os.umask(before)


def test_it_listens_on_loopback_and_a_socket_and_nowhere_else(data_dir: Path) -> None:
    with embedded.running(data_dir, settings=QUICK) as server:
        listening = {
            connection.laddr.ip
            for connection in postmaster(data_dir).net_connections("tcp")
            if connection.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}
        assert server.socket_directory is not None
        with psycopg.connect(
            host=str(server.socket_directory),
            port=server.port,
            user="positionstore",
            password=server.password,
        ) as connection:
            assert connection.execute("SELECT inet_server_addr()").fetchone() == (None,)
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700


def test_it_is_durable_unless_told_otherwise(data_dir: Path) -> None:
    with embedded.running(data_dir) as server, psycopg.connect(server.url()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_the_server_knows_nothing_of_our_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIMES_API_KEY", "dm_sbx_skey_secret")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    with embedded.running(data_dir, settings=QUICK):
        environment = postmaster(data_dir).environ()
    assert "dm_sbx_skey_secret" not in environment.values()
    assert environment.get("PGDATA") != "/nowhere"


@pytest.mark.parametrize(
    "name",
    [
        "with a space",
        'it\'s "quoted" $HOME `id` \\ & ; # %s 🙂',
        "long-" + "x" * 120,
    ],
    ids=["space", "shell", "long"],
)
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / name / "data"
    for _ in range(2):
        with embedded.running(data_dir, settings=QUICK) as server:
            with psycopg.connect(server.url()) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            if name.startswith("long"):
                assert server.socket_directory is None
    assert postgres_processes(data_dir) == []


def test_a_relative_path_and_a_symbolic_link_name_the_same_server(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(data_dir, target_is_directory=True)
    monkeypatch.chdir(data_dir.parent)
    with (
        embedded.running(data_dir, settings=QUICK) as server,
        embedded.running(Path(data_dir.name)) as relative,
        embedded.running(tmp_path / "link") as linked,
    ):
        assert server.port == relative.port == linked.port
    assert postgres_processes(data_dir) == []
