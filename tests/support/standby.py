"""A standby of an embedded server, in step or lagging, for tests of failing over."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from positionstore.embedded import cluster
from positionstore.embedded.binaries import find_binaries
from positionstore.embedded.os_user import account_for
from positionstore.embedded.server import EmbeddedServer
from support.waiting import DEADLINE, wait_until


@dataclass(frozen=True)
class Standby:
    """A server that may be read from.

    Attributes:
        port: its TCP port on 127.0.0.1.
        url: its database ``postgres``.
    """

    port: int
    url: str

    def promote(self) -> None:
        """Make it the primary; return when it may be written to."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)


@contextmanager
def standby_of(
    primary: EmbeddedServer, folder: Path, *, in_step: bool = True, way: int | None = None
) -> Iterator[Standby]:
    """Start one; stop it in the end.

    Args:
        primary: whom it follows.
        folder: an empty one, for its files.
        in_step: whether the primary acknowledges no commit without it.
        way: the port by which it reaches the primary, where that is another than the primary's.
    """
    leader = primary.url("postgres").replace(f":{primary.port}/", f":{way or primary.port}/")
    account = account_for(primary.data_dir / "postgres" / "cluster", primary.data_dir)
    binaries = find_binaries()
    cluster.give(account, folder)
    port = cluster.choose_port()
    with cluster.door(folder, account) as entrance, (folder / "log").open("w") as log:

        def spawn(program: str, *arguments: str) -> subprocess.Popen[str]:
            return cluster.spawn(
                [binaries.program(program), "-D", f"{entrance.path}/cluster", *arguments],
                account=account,
                stdout=log,
                pass_fds=entrance.fds,
            )

        copying = spawn(
            "pg_basebackup",
            *("--dbname", leader, "--write-recovery-conf"),
            *("--checkpoint", "fast", "--no-sync"),
        )
        assert copying.wait(DEADLINE) == 0, (folder / "log").read_text()
        server = spawn("postgres", "-p", str(port), "-c", "logging_collector=off")
        try:
            with psycopg.connect(primary.url("postgres"), autocommit=True) as desk:
                if in_step:
                    desk.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                    desk.execute("SELECT pg_reload_conf()")
                follows = "SELECT FROM pg_stat_replication WHERE state = 'streaming'"
                follows += " AND sync_state = 'sync'" if in_step else ""
                wait_until(
                    lambda: desk.execute(follows.encode()).fetchone() is not None, "it follows"
                )
            url = primary.url("postgres").replace(f":{primary.port}/", f":{port}/")
            yield Standby(port, url)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(DEADLINE)
