"""The database files of the embedded server: how they are made and configured."""

import errno
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from positionstore.embedded.binaries import PostgresBinaries
from positionstore.embedded.os_user import OsUser
from positionstore.errors import ConfigurationError, DatabaseUnavailableError

SUPERUSER = "positionstore"
"""The one role of the embedded server; its password lies in a file of mode 0600."""

_OUR_CONFIGURATION = "positionstore.conf"
_PASSED_ON = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_BUILTIN_LOCALE_SINCE = 17
_SHELLS_OWN = frozenset('"$`\\')
_MIB = 1024 * 1024


def major_version(cluster: Path) -> int | None:
    """Return the major version of PostgreSQL that made these files; None: not made yet."""
    try:
        return int((cluster / "PG_VERSION").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise ConfigurationError(
            f"{cluster}/PG_VERSION is damaged.",
            remedy="Restore the data directory from a backup, or choose another "
            "POSITIONSTORE_DATA_DIR.",
        ) from None


def create(
    cluster: Path,
    binaries: PostgresBinaries,
    account: OsUser | None,
    password: str,
    *,
    durably: bool = True,
) -> None:
    """Make the database files; they are there whole or not at all.

    Args:
        cluster: where they shall be; must not exist.
        binaries: the programs to make them with.
        account: the user who shall own them, where it is not this process's.
        password: the superuser's.
        durably: wait until the files are on the disk.

    Raises:
        DatabaseUnavailableError: ``initdb`` failed; its last words are in the message.
    """
    for abandoned in cluster.parent.glob("initdb-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(dir=cluster.parent, prefix="initdb-"))
    try:
        unfinished = staging / "cluster"
        unfinished.mkdir(mode=0o700)
        password_file = staging / "password"
        write_private(password_file, password + "\n")
        give(account, staging, unfinished, password_file)
        locale = ["--locale=C"]
        if binaries.major >= _BUILTIN_LOCALE_SINCE:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        with door(staging, account) as entrance:
            process = spawn(
                [
                    *(binaries.program("initdb"), "-D", f"{entrance.path}/cluster"),
                    *("-U", SUPERUSER, "-A", "scram-sha-256"),
                    *("--pwfile", f"{entrance.path}/password"),
                    *("-E", "UTF8", *locale),
                    *(() if durably else ("--no-sync",)),
                ],
                account=account,
                stdout=subprocess.PIPE,
                pass_fds=entrance.fds,
            )
            output, _ = process.communicate()
        if process.returncode != 0:
            raise DatabaseUnavailableError(
                f"The embedded server's database could not be made in {cluster.parent}: "
                f"{last_words(output) or f'initdb ended with code {process.returncode}'}.",
                remedy="Make sure that there is room on the disk, or choose another "
                "POSITIONSTORE_DATA_DIR.",
            )
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"\n# written by positionstore\ninclude = '{_OUR_CONFIGURATION}'\n")
        unfinished.rename(cluster)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def configure(cluster: Path, account: OsUser | None, port: int, extra: Mapping[str, str]) -> None:
    """Write the server's configuration, again at each start.

    Args:
        cluster: the database files.
        account: who owns them, where it is not this process's user.
        port: the TCP port to listen on.
        extra: settings that go before ours.
    """
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        # Relative to the database files: a socket's path may have 107 bytes and no more.
        "unix_socket_directories": ".",
        "cluster_name": "positionstore",
        "max_connections": "100",
        "shared_buffers": f"{_shared_buffers_mib()}MB",
        "max_wal_size": "2GB",
        "wal_compression": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # One file a weekday, overwritten a week later.
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        **extra,
    }
    quoted = {name: value.replace("'", "''") for name, value in settings.items()}
    path = cluster / _OUR_CONFIGURATION
    write_private(path, "".join(f"{name} = '{value}'\n" for name, value in quoted.items()))
    give(account, path)


def new_password() -> str:
    """Return a password that needs no quoting, in a URL or elsewhere."""
    return secrets.token_urlsafe(24)


def choose_port(preferred: int | None = None) -> int:
    """Return a TCP port of 127.0.0.1 that is free, the preferred one if it is."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise DatabaseUnavailableError(
        "There is no free TCP port on 127.0.0.1 for the embedded server.",
        remedy="Make sure that the loopback interface is up, or set DATABASE_URL.",
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at no moment anyone else."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def give(account: OsUser | None, *paths: Path) -> None:
    """Make the account the owner of files, where there is one."""
    if account is not None:
        for path in paths:
            os.chown(path, account.uid, account.gid)


@dataclass(frozen=True)
class Door:
    """How one of PostgreSQL's programs reaches a folder.

    Attributes:
        path: what the program is called with.
        fds: the file descriptors that it needs for that.
    """

    path: str
    fds: tuple[int, ...] = ()


@contextmanager
def door(folder: Path, account: OsUser | None) -> Iterator[Door]:
    """Open a folder to a program.

    Another user's process may be unable to walk the path to the folder, and the folders on the
    way are none of ours to open. A file descriptor that it inherits leads there all the same.
    It also spares the shell that ``pg_ctl`` uses a path that would mean something to it.
    """
    on_linux = sys.platform.startswith("linux")
    if not on_linux or (account is None and _SHELLS_OWN.isdisjoint(str(folder))):
        yield Door(str(folder))
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Door(f"/proc/self/fd/{descriptor}", (descriptor,))
    finally:
        os.close(descriptor)


def spawn(
    command: Sequence[str | Path],
    *,
    account: OsUser | None,
    stdout: int | IO[str],
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[str]:
    """Start one of PostgreSQL's programs.

    It is given next to nothing of this process's environment, where secrets are and where a
    stray ``PGDATA`` or ``PGPORT`` might be, and it does not hear the terminal's Ctrl-C.

    Args:
        command: the program and its arguments.
        account: the user to run it under, where it is not this process's.
        stdout: where its output and its errors go.
        pass_fds: file descriptors to hand on.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        cwd="/",
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,
        text=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        umask=0o077,
    )


def last_words(text: str) -> str:
    """Return the line of a log that says best what went wrong; empty where none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # A full disk has consequences, which are logged after it and at a higher level.
    for said in ([line for line in lines if os.strerror(errno.ENOSPC) in line], lines):
        for mark in ("PANIC:", "FATAL:", "error:", "ERROR:", "LOG:"):
            for line in reversed(said):
                if mark in line and "contains errors" not in line:
                    return line.partition(mark)[2].strip().rstrip(".")
    return lines[-1].rstrip(".") if lines else ""


def _shared_buffers_mib() -> int:
    total = psutil.virtual_memory().total // _MIB
    return max(16, min(1024, total // 8))
