"""A standby of an embedded server, which follows it in step, for tests of failing over."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from patience import DEADLINE, wait_until

from positionstore.store import cluster
from positionstore.store.account import account_for
from positionstore.store.binaries import find_binaries
from positionstore.store.embedded import EmbeddedServer


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
def standby_of(primary: EmbeddedServer, folder: Path) -> Iterator[Standby]:
    """Start one, without which the primary acknowledges no commit; stop it in the end.

    Args:
        primary: whom it follows.
        folder: an empty one, for its files.
    """
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
            *("--dbname", primary.url("postgres"), "--write-recovery-conf"),
            *("--checkpoint", "fast", "--no-sync"),
        )
        assert copying.wait(DEADLINE) == 0, (folder / "log").read_text()
        server = spawn("postgres", "-p", str(port), "-c", "logging_collector=off")
        try:
            with psycopg.connect(primary.url("postgres"), autocommit=True) as desk:
                desk.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                desk.execute("SELECT pg_reload_conf()")
                follows = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'"
                wait_until(lambda: desk.execute(follows).fetchone() is not None, "it follows")
            url = primary.url("postgres").replace(f":{primary.port}/", f":{port}/")
            yield Standby(port, url)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(DEADLINE)
