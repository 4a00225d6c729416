"""Real forward proxies, each in a process of its own: tinyproxy and squid, from Debian."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.ports import free_port
from support.waiting import eventually

USER, PASSWORD = "clerk", "s3cret-pass.word"
QUOTED = "s3cret%2Dpass.word"

_PATIENCE = 10.0


@dataclass(frozen=True)
class ForwardProxy:
    """A proxy that runs.

    Attributes:
        port: where, on this machine.
        log: its log of what went through it.
    """

    port: int
    log: Path

    @property
    def tunnels(self) -> int:
        """How many tunnels it was asked for."""
        with suppress(OSError):
            return self.log.read_text(errors="replace").count("CONNECT ")
        return 0


@asynccontextmanager
async def _running(command: list[str], port: int, log: Path) -> AsyncIterator[ForwardProxy]:
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=nowhere, stderr=nowhere)
    try:
        await eventually(lambda: listens(port))
        yield ForwardProxy(port, log)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                # One that is busy with a connection may wait for it.
                async with asyncio.timeout(_PATIENCE):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt install {name})")
    return found


@asynccontextmanager
async def tinyproxy(folder: Path, *, wants_password: bool = False) -> AsyncIterator[ForwardProxy]:
    """Run tinyproxy; it may want a user and a password."""
    port, log = free_port(), folder / "tinyproxy.log"
    rules = [f"Port {port}", "Listen 127.0.0.1", f'LogFile "{log}"', "LogLevel Connect"]
    rules += ["Timeout 600", "MaxClients 50", "Allow 127.0.0.1"]
    if wants_password:
        rules.append(f"BasicAuth {USER} {PASSWORD}")
    configuration = folder / "tinyproxy.conf"
    configuration.write_text("\n".join(rules) + "\n")
    command = [_program("tinyproxy"), "-d", "-c", str(configuration)]
    async with _running(command, port, log) as proxy:
        yield proxy


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A folder that squid may write to, which gives up root's rights where it has them."""
    with TemporaryDirectory(prefix="positionstore-tests-squid-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


@asynccontextmanager
async def squid(*, hosts: str, lets_through: bool = True) -> AsyncIterator[ForwardProxy]:
    """Run squid, to which ``hosts`` is this machine."""
    port = free_port()
    with _open_folder() as folder:
        (folder / "hosts").write_text(f"127.0.0.1 {hosts}\n")
        rules = [
            f"http_port 127.0.0.1:{port}",
            f"hosts_file {folder / 'hosts'}",
            f"access_log stdio:{folder / 'squid.log'}",
            f"cache_log {folder / 'cache.log'}",
            f"coredump_dir {folder}",
            "pid_filename none",
            "cache deny all",
            "logfile_rotate 0",
            "shutdown_lifetime 0 seconds",
            f"http_access {'allow' if lets_through else 'deny'} all",
        ]
        configuration = folder / "squid.conf"
        configuration.write_text("\n".join(rules) + "\n")
        command = [_program("squid"), "-N", "-f", str(configuration)]
        async with _running(command, port, folder / "squid.log") as proxy:
            yield proxy
