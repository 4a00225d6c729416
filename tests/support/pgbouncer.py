"""A real PgBouncer in front of a server, for tests: Debian's, or the one named in the environment.

``POSITIONSTORE_TEST_PGBOUNCER`` names the program of another version.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from psycopg.conninfo import conninfo_to_dict

from support.forward_proxies import listens
from support.ports import free_port
from support.waiting import DEADLINE, wait_until


@dataclass(frozen=True)
class PgBouncer:
    """One that runs.

    Attributes:
        port: where, on this machine.
    """

    port: int

    def of(self, url: str) -> str:
        """Return the URL of the same database through it."""
        return f"postgresql://somebody@127.0.0.1:{self.port}/{conninfo_to_dict(url)['dbname']}"


def _program() -> str:
    named = os.environ.get("POSITIONSTORE_TEST_PGBOUNCER")
    found = named or shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("pgbouncer is not installed (Debian: apt install pgbouncer)")
    return found


def version() -> tuple[int, ...]:
    """Return the version of the one that is run."""
    told = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True)
    return tuple(int(part) for part in told.stdout.split()[1].split("."))


@contextmanager
def pgbouncer(
    url: str, *, mode: str, port: int | None = None, **settings: str | int
) -> Iterator[PgBouncer]:
    """Run one in front of the server of a URL, whose user it is to the server for every client.

    Args:
        url: any database of that server.
        mode: when it takes a server connection back: ``session``, ``transaction``, ``statement``.
        port: where; with ``so_reuseport`` several share one. A free one by default.
        settings: more of its settings.
    """
    program, server = _program(), conninfo_to_dict(url)
    port = port or free_port()
    with TemporaryDirectory(prefix="positionstore-tests-pgbouncer-") as folder:
        asked = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "query_wait_timeout": DEADLINE,
            **settings,
        }
        if os.geteuid() == 0:
            asked["user"] = "nobody"  # as root it does not run
        configuration, log = Path(folder) / "pgbouncer.ini", Path(folder) / "log"
        configuration.touch(mode=0o600)
        configuration.write_text(
            "[databases]\n* = host={host} port={port} user={user} password={password}\n".format_map(
                server
            )
            + "[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in asked.items())
        )
        if os.geteuid() == 0:
            Path(folder).chmod(0o755)
            os.chown(configuration, pwd.getpwnam("nobody").pw_uid, -1)
        with log.open("w") as words:
            process = subprocess.Popen([program, str(configuration)], stderr=words, stdout=words)
        try:
            wait_until(
                lambda: process.poll() is not None or listens(port), "PgBouncer takes connections"
            )
            assert process.poll() is None, log.read_text()
            yield PgBouncer(port)
        finally:
            process.terminate()  # at once, whoever is connected
            process.wait(DEADLINE)
