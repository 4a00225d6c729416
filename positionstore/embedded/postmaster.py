"""Which PostgreSQL server, if any, lives in a data directory.

``postmaster.pid`` names a process by its number, and after a crash that number may have gone
to a stranger. So a process counts as the server only where it is a ``postgres`` that works in
that very directory.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from positionstore.embedded.os_user import OsUser

PID_FILE = "postmaster.pid"
_NOBODYS_PID = 2**31 - 2  # beyond every kernel's highest process number


@dataclass(frozen=True)
class Postmaster:
    """A living server.

    Attributes:
        pid: its process.
        port: the TCP port it listens on; 0 while it has not said.
        status: ``starting``, ``ready`` or ``stopping``; empty while it has not said.
    """

    pid: int
    port: int
    status: str


def find_postmaster(cluster: Path, account: OsUser | None = None) -> Postmaster | None:
    """Return the server that lives in a data directory, or None.

    Args:
        cluster: the directory.
        account: the user the server runs under, where it is not this process's.
    """
    lines = _pid_file(cluster)
    pid = _number(lines, 0)
    if pid <= 0 or not _works_in(pid, cluster, account):
        return None
    status = lines[7].strip() if len(lines) > 7 else ""
    return Postmaster(pid, _number(lines, 3), status)


def disown_stranger(cluster: Path) -> None:
    """Free ``postmaster.pid`` of a number that belongs to a stranger by now.

    PostgreSQL will not start while the file names any living process. Only the number is
    struck out: PostgreSQL also reads from this file which shared memory to ask for survivors
    of the server that wrote it. To be called when no server lives in the directory.
    """
    lines = _pid_file(cluster)
    path = cluster / PID_FILE
    if _number(lines, 0) <= 0:
        path.unlink(missing_ok=True)
    elif psutil.pid_exists(_number(lines, 0)):
        with path.open("r+", encoding="utf-8") as file:
            file.write("\n".join([str(_NOBODYS_PID), *lines[1:]]) + "\n")
            file.truncate()
    for socket in cluster.glob(".s.PGSQL.*"):
        socket.unlink(missing_ok=True)


def survivors(cluster: Path, account: OsUser | None = None) -> Iterator[int]:
    """Yield the processes of a server, its children too, whether or not its head lives."""
    for process in psutil.process_iter(["name"]):
        if _is_postgres(process) and _works_in(process.pid, cluster, account):
            yield process.pid


def _pid_file(cluster: Path) -> list[str]:
    try:
        return (cluster / PID_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _number(lines: list[str], index: int) -> int:
    try:
        return int(lines[index])
    except (IndexError, ValueError):
        return 0


def _works_in(pid: int, cluster: Path, account: OsUser | None) -> bool:
    try:
        process = psutil.Process(pid)
        if not _is_postgres(process):
            return False
        directory = process.cwd()
    except psutil.AccessDenied:
        directory = _directory_as(account, pid)
    except psutil.Error:
        return False
    return bool(directory) and Path(directory) == cluster.resolve()


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _directory_as(account: OsUser | None, pid: int) -> str:
    """Ask as the server's own user: in a container even root may not look at others."""
    if account is None or os.geteuid() != 0:
        return ""
    try:
        answer = subprocess.run(
            ["readlink", f"/proc/{pid}/cwd"],  # noqa: S607 - coreutils, wherever they are
            capture_output=True,
            text=True,
            check=False,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    except OSError:
        return ""
    return answer.stdout.removesuffix("\n")
