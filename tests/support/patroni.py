"""Two PostgreSQL servers that a real Patroni looks after, for tests of failing over.

``POSITIONSTORE_TEST_PATRONI`` names its program where it is not on the path. Its votes are kept by
Debian's etcd, and the servers are Debian's too.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import httpx
import psutil
import pytest

from support.forward_proxies import listens
from support.ports import free_port
from support.server_user import is_root
from support.server_worlds import PG15
from support.waiting import DEADLINE, wait_until

OWNER: Final = "postgres"
"""Debian's user, for programs that do not run as root."""

TIME_TO_LIVE: Final = 20
"""Seconds without a sign of life after which a leader has lost its place: the least that Patroni
takes."""


@dataclass
class Member:
    """One of the two.

    Attributes:
        name: by which Patroni knows it.
        port: of its PostgreSQL.
        rest: of its Patroni's REST API.
        data: the folder of its database files.
        process: its Patroni.
    """

    name: str
    port: int
    rest: int
    data: Path
    process: subprocess.Popen[bytes]

    def says(self) -> Mapping[str, Any]:
        """Return what its Patroni says of it; nothing where it does not answer."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.rest}/patroni", trust_env=False)
        except httpx.TransportError:
            return {}
        return dict(answer.json())

    @property
    def leads(self) -> bool:
        told = self.says()
        return told.get("role") in {"master", "primary"} and told.get("state") == "running"

    @property
    def is_in_step(self) -> bool:
        return bool(self.says().get("sync_standby"))

    def kill(self) -> None:
        """Kill its Patroni and its PostgreSQL, as a machine that loses its power does."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        for process in (psutil.Process(self.process.pid), server, *server.children()):
            process.kill()
        self.process.wait(DEADLINE)


@dataclass(frozen=True)
class Patroni:
    """A cluster of two members, one the synchronous standby.

    Attributes:
        members: of it.
    """

    members: Sequence[Member]

    @property
    def url(self) -> str:
        """Return the URL that leads to whichever of them may be written to."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://postgres:secret@{hosts}/postgres?target_session_attrs=read-write"

    def leader_and_standby(self) -> tuple[Member, Member]:
        """Wait until one leads and the other is its synchronous standby; return the two."""
        one, two = self.members
        wait_until(
            lambda: (one.leads and two.is_in_step) or (two.leads and one.is_in_step),
            "one leads, and the other is its synchronous standby",
        )
        return (one, two) if one.leads else (two, one)

    def switch_over(self) -> None:
        """Let the two change places, as before a machine is taken out of service."""
        leader, standby = self.leader_and_standby()
        asked = {"leader": leader.name, "candidate": standby.name}
        answer = httpx.post(
            f"http://127.0.0.1:{leader.rest}/switchover",
            json=asked,
            timeout=DEADLINE,
            trust_env=False,
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        wait_until(lambda: standby.leads, "the standby leads")


def _as_owner(
    command: Sequence[str | Path], log: IO[bytes], folder: Path
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdout=log,
        stderr=log,
        cwd=folder,
        user=OWNER if is_root() else None,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    )


def _programs() -> tuple[str, str]:
    """Return Patroni's program and etcd's."""
    found = os.environ.get("POSITIONSTORE_TEST_PATRONI") or shutil.which("patroni")
    etcd = shutil.which("etcd")
    if etcd is None or not PG15.exists():
        pytest.skip("etcd or PostgreSQL 15 is not installed (Debian: etcd-server, postgresql-15)")
    if found is None:
        pytest.skip("patroni is not installed (pip install 'patroni[etcd3]' psycopg)")
    asked = [found, "--version"]
    user = OWNER if is_root() else None
    try:
        subprocess.run(asked, user=user, capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip(f"the user {OWNER} cannot run {found}")
    return found, etcd


def _configuration(name: str, folder: Path, *, etcd: int, port: int, rest: int) -> str:
    """Return a member's, as JSON, which is YAML too."""
    password = {"password": "secret"}
    return json.dumps(
        {
            "scope": "book",
            "name": name,
            "restapi": {"listen": f"127.0.0.1:{rest}", "connect_address": f"127.0.0.1:{rest}"},
            "etcd3": {"hosts": [f"127.0.0.1:{etcd}"]},
            "bootstrap": {
                "dcs": {
                    "ttl": TIME_TO_LIVE,
                    "loop_wait": 1,
                    "retry_timeout": 3,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{port}",
                "connect_address": f"127.0.0.1:{port}",
                "data_dir": str(folder / name),
                "bin_dir": str(PG15),
                "pgpass": str(folder / f"{name}.pgpass"),
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": {"username": "postgres", **password},
                    "replication": {"username": "standby", **password},
                    "rewind": {"username": "rewind", **password},
                },
                "parameters": {"unix_socket_directories": str(folder)},
            },
        }
    )


@contextmanager
def patroni() -> Iterator[Patroni]:
    """Start a cluster of two, one the synchronous standby; stop it in the end."""
    program, etcd = _programs()
    with TemporaryDirectory(prefix="positionstore-tests-patroni-") as name, ExitStack() as stack:
        folder = Path(name)
        if is_root():
            shutil.chown(folder, OWNER, OWNER)

        def start(command: Sequence[str | Path], name: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = _as_owner(command, log, folder)
            stack.callback(process.wait, DEADLINE)
            stack.callback(process.terminate)
            return process

        votes, peers = free_port(), free_port()
        here = f"http://127.0.0.1:{votes}"
        there = f"http://127.0.0.1:{peers}"
        keeper = start(
            [
                *(etcd, "--data-dir", folder / "etcd", "--initial-cluster", f"default={there}"),
                *("--listen-client-urls", here, "--advertise-client-urls", here),
                *("--listen-peer-urls", there, "--initial-advertise-peer-urls", there),
            ],
            "etcd",
        )
        wait_until(lambda: keeper.poll() is not None or listens(votes), "etcd takes connections")
        members: list[Member] = []
        for member in ("one", "two"):
            port, rest = free_port(), free_port()
            file = folder / f"{member}.yml"
            file.write_text(_configuration(member, folder, etcd=votes, port=port, rest=rest))
            process = start([program, file], member)
            members.append(Member(member, port, rest, folder / member, process))
            # The first makes the database; the second copies it.
            wait_until(lambda: members[0].leads, "Patroni has made a database")
        cluster = Patroni(members)
        cluster.leader_and_standby()
        yield cluster
