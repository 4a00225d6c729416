"""Other processes that use an embedded server, for tests: they come, leave and are killed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from support.waiting import DEADLINE

USER_SCRIPT = """
import os, sys, json
from pathlib import Path
import psycopg
from positionstore.embedded import server as embedded

data_dir, uid, settings = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
if uid:
    # What is imported at the first connection must be imported while it can be reached.
    try:
        psycopg.connect("host=127.0.0.1 port=1")
    except psycopg.OperationalError:
        pass
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
with embedded.running(data_dir, settings=settings) as server:
    with psycopg.connect(server.url()) as connection:
        connection.execute("SELECT 1")
    print(server.port, flush=True)
    sys.stdin.read()
"""

QUICK = {"fsync": "off"}
"""Settings for servers that live for one test."""


class ServerUser:
    """A process that uses the server of a data directory until it is told to leave."""

    def __init__(self, data_dir: Path, *, uid: int = 0, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [
                *prefix,
                sys.executable,
                "-c",
                USER_SCRIPT,
                str(data_dir),
                str(uid),
                '{"fsync":"off"}',
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def port(self) -> int:
        """Wait until it uses the server; return the server's port."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, errors = self.process.communicate()
            raise AssertionError(errors)
        return int(line)

    def leave(self) -> None:
        """Let it leave, and wait until it has."""
        _, errors = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        """Kill it: it cleans nothing up."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def server_user(
    data_dir: Path, *, uid: int = 0, prefix: tuple[str, ...] = ()
) -> Iterator[ServerUser]:
    """Start a user; kill it at the end if it is still there."""
    user = ServerUser(data_dir, uid=uid, prefix=prefix)
    try:
        yield user
    finally:
        user.kill()


def postgres_processes(data_dir: Path) -> list[psutil.Process]:
    """Return every process of PostgreSQL that works in a data directory."""
    cluster = (data_dir / "postgres" / "cluster").resolve()
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("postgres") and Path(process.cwd()) == cluster:
                found.append(process)
    return found


def postmaster(data_dir: Path) -> psutil.Process:
    """Return the head of the server of a data directory."""
    processes = postgres_processes(data_dir)
    pids = {process.pid for process in processes}
    heads = []
    for process in processes:
        # A child may end at any moment.
        with contextlib.suppress(psutil.Error):
            if process.ppid() not in pids:
                heads.append(process)
    (head,) = heads
    return head


def kill_all(data_dir: Path) -> None:
    """Kill what a test left running."""
    for process in postgres_processes(data_dir):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def is_root() -> bool:
    """Say whether the tests run as root."""
    return os.geteuid() == 0
