"""The embedded server: PostgreSQL for a machine that has nothing but Python.

One server serves all processes of a data directory. The first one starts it; the one that
leaves last stops it. Under ``<data dir>/postgres/`` lie:

=============  =====================================================================
``cluster/``   the database files, PostgreSQL's own
``password``   the superuser's password, mode 0600
``roles/``     the passwords of the store's roles, the same
``lock``       held by the one process that is starting or stopping the server
``users``      held, shared, by every process that uses the server
``alive``      held by every process of the server itself, which inherits the lock
``kept``       there while the server shall go on without users
=============  =====================================================================

All three locks are the kernel's (``flock``): a process that is killed holds none, so no one has
to guess from process numbers who is still there, and the ``alive`` lock is seen across
containers that share a volume, where process numbers mean nothing. When the last user is
*killed*, the server stays until the next user of the data directory leaves, and costs an idle
machine nothing but memory.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg import sql

from positionstore.embedded import cluster as clusters
from positionstore.embedded.binaries import (
    REACHABLE_HOME,
    PostgresBinaries,
    find_binaries,
    reachable_by,
)
from positionstore.embedded.os_user import OsUser, account_for
from positionstore.embedded.postmaster import (
    PID_FILE,
    disown_stranger,
    find_postmaster,
    survivors,
)
from positionstore.errors import ConfigurationError, DatabaseUnavailableError
from positionstore.escaping import printable

DATABASE = "positionstore"
"""The database that the store lives in."""

_POLL = 0.05
_FIRST_WORD_AFTER = 3.0
_NEXT_WORD_AFTER = 15.0
_ORPHANS_GRACE = 10.0
_STOP_GRACE = 60.0
_CONNECT_GRACE = 30.0
_PORT_TRIES = 5
_LONGEST_SOCKET_PATH = 103  # of the 104 to 108 bytes that the systems have, one ends the string

_RECOVERY = (
    "The database is still starting; after a crash it first repairs itself, which can take minutes."
)
_REMAINS = "Waiting for what is left of a killed database."

Say = Callable[[str], None]
"""Takes a line for the person who waits."""


def to_stderr(line: str) -> None:
    """Print a line for the person who waits."""
    print(printable(line), file=sys.stderr, flush=True)


@dataclass
class Lease:
    """This process's place among the users of a server; -1 once given back."""

    descriptor: int


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server, and this process's registration as one of its users.

    Attributes:
        data_dir: the folder of everything positionstore keeps.
        port: its TCP port on 127.0.0.1.
        password: the superuser's.
        lease: this process's registration.
    """

    data_dir: Path
    port: int
    password: str = field(repr=False)
    lease: Lease = field(repr=False, compare=False)

    def url(
        self,
        database: str = DATABASE,
        *,
        user: str = clusters.SUPERUSER,
        password: str | None = None,
    ) -> str:
        """Return the URL of one of its databases, password included; the superuser's by default."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def socket_directory(self) -> Path | None:
        """Where its Unix socket is; None where the path is too long for one."""
        path = self.data_dir.resolve() / "postgres" / "cluster"
        length = len(os.fsencode(path / f".s.PGSQL.{self.port}"))
        return path if length <= _LONGEST_SOCKET_PATH else None


def ensure_running(
    data_dir: Path,
    *,
    say: Say = to_stderr,
    bin_dir: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> EmbeddedServer:
    """Start the server of a data directory, or attach to it where it runs already.

    This process is one of its users from then on, until ``release`` or its end. To be called
    again after the server died: it is started again, normally on the same port.

    Args:
        data_dir: the folder of everything positionstore keeps; made if missing.
        say: takes a line for the person who waits, when waiting takes long.
        bin_dir: PostgreSQL's programs, instead of looking for them.
        settings: PostgreSQL's settings, before ours; in force only if this call starts it.

    Raises:
        ConfigurationError: there are no programs, or the data directory belongs to another
            user or another version of PostgreSQL.
        DatabaseUnavailableError: the server could not be started.
    """
    home = _Home.at(data_dir)
    with home.exclusively(say):
        lease = home.register()
        try:
            account = account_for(home.cluster, data_dir)
            port = _attach(home, account, say)
            if port is None:
                port = _start(home, account, say, bin_dir, settings or {})
            return EmbeddedServer(data_dir, port, home.read_password(), Lease(lease))
        except OSError as error:
            os.close(lease)
            raise DatabaseUnavailableError(
                f"The embedded server in {home.path} cannot be used: {error.strerror}"
                f"{f' ({error.filename})' if error.filename else ''}.",
                remedy="Make sure that there is room on the disk and that it can be written to.",
            ) from error
        except BaseException:
            os.close(lease)
            raise


def ensure_alive(
    server: EmbeddedServer, *, say: Say = to_stderr, bin_dir: Path | None = None
) -> EmbeddedServer | None:
    """Start a server again that was killed, for a process that is one of its users.

    Args:
        server: the server as ``ensure_running`` returned it.
        say: takes a line for the person who waits, when waiting takes long.
        bin_dir: PostgreSQL's programs, instead of looking for them.

    Returns:
        The server, as a rule on the same port, with the same registration; None where it was
        not killed but stopped, on purpose.

    Raises:
        ConfigurationError: the same as of ``ensure_running``.
        DatabaseUnavailableError: it could not be started.
    """
    home = _Home.at(server.data_dir)
    with home.exclusively(say):
        if not (home.cluster / PID_FILE).exists():
            return None
        account = account_for(home.cluster, home.data_dir)
        port = _attach(home, account, say)
        if port is None:
            port = _start(home, account, say, bin_dir, {})
        return replace(server, port=port)


def release(server: EmbeddedServer, *, keep: bool = False, say: Say = to_stderr) -> None:
    """Stop using a server; the last user stops it, unless it shall be kept. Idempotent.

    Args:
        server: the server as ``ensure_running`` returned it.
        keep: let it go on without users until ``stop``.
        say: takes a line for the person who waits, when waiting takes long.

    Raises:
        DatabaseUnavailableError: it does not stop.
    """
    if server.lease.descriptor < 0:
        return
    home = _Home.at(server.data_dir)
    with home.exclusively(say):
        os.close(server.lease.descriptor)
        server.lease.descriptor = -1
        if keep:
            home.kept.touch(mode=0o600)
        if not home.kept.exists() and not home.is_held(home.users):
            _stop(home, say)


@contextlib.contextmanager
def running(
    data_dir: Path,
    *,
    keep: bool = False,
    say: Say = to_stderr,
    bin_dir: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[EmbeddedServer]:
    """Use the server of a data directory for the length of a ``with`` block.

    Arguments and errors are those of ``ensure_running`` and ``release``.
    """
    server = ensure_running(data_dir, say=say, bin_dir=bin_dir, settings=settings)
    try:
        yield server
    finally:
        release(server, keep=keep, say=say)


def stop(data_dir: Path, *, say: Say = to_stderr) -> bool:
    """Stop the server of a data directory, even while it is used; return whether there was one.

    Raises:
        DatabaseUnavailableError: it does not stop.
    """
    if not (data_dir / "postgres").is_dir():
        return False
    home = _Home.at(data_dir)
    with home.exclusively(say):
        return _stop(home, say)


def remove_unused(data_dir: Path, *, say: Say = to_stderr) -> bool:
    """Delete the database files and their password, unless a server or a user needs them.

    Everything stored is gone with them. The rest of the data directory stays.

    Returns:
        Whether they were deleted.
    """
    home = _Home.at(data_dir)
    with home.exclusively(say):
        if home.is_held(home.users) or home.is_held(home.alive):
            return False
        # The lock is left where it is: someone may be waiting for it.
        passwords = (home.path / "password", home.path / "roles")
        for path in (home.cluster, *passwords, home.path / "port", home.kept):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return True


@dataclass(frozen=True)
class _Home:
    """The files beside the database files."""

    data_dir: Path
    path: Path

    @classmethod
    def at(cls, data_dir: Path) -> "_Home":
        """Return the home in a data directory, made if missing."""
        home = cls(data_dir.absolute(), data_dir.absolute() / "postgres")
        try:
            home.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not home.path.is_dir():
                home.path.mkdir(mode=0o700, exist_ok=True)
                home.adopt(home.path)
        except OSError as error:
            raise ConfigurationError(
                f"The data directory {data_dir} cannot be used: {error.strerror}.",
                remedy="Choose another POSITIONSTORE_DATA_DIR.",
            ) from error
        return home

    @property
    def cluster(self) -> Path:
        return self.path / "cluster"

    @property
    def kept(self) -> Path:
        return self.path / "kept"

    @property
    def users(self) -> Path:
        return self.path / "users"

    @property
    def alive(self) -> Path:
        return self.path / "alive"

    def adopt(self, path: Path) -> None:
        """Give what root made in another user's folder to that user."""
        if os.geteuid() == 0:
            owner = self.data_dir.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    def open(self, path: Path) -> int:
        """Open one of the lock files; no child inherits it by itself."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The data directory {self.data_dir} cannot be used: {path.name}: "
                f"{error.strerror}.",
                remedy="Run positionstore as the user who began it, or choose another "
                "POSITIONSTORE_DATA_DIR.",
            ) from error
        self.adopt(path)
        return descriptor

    @contextlib.contextmanager
    def exclusively(self, say: Say) -> Iterator[None]:
        """Be the one process that starts or stops the server."""
        descriptor = self.open(self.path / "lock")
        try:
            slow_wait = _SlowWait(say)
            while not _try_lock(descriptor, fcntl.LOCK_EX):
                slow_wait.wait("Waiting for another process that starts or stops the database.")
            yield
        finally:
            os.close(descriptor)

    def register(self) -> int:
        """Become a user; the descriptor is the registration."""
        descriptor = self.open(self.users)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def is_held(self, path: Path) -> bool:
        """Say whether any process holds a lock; to be called exclusively."""
        descriptor = self.open(path)
        try:
            return not _try_lock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    def last_port(self) -> int | None:
        """Return the port of the server's last life, so that URLs go on working."""
        try:
            return int((self.path / "port").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def remember_port(self, port: int) -> None:
        """Note the port for the server's next life."""
        (self.path / "port").write_text(f"{port}\n", encoding="utf-8")
        self.adopt(self.path / "port")

    def read_password(self) -> str:
        """Return the superuser's password, made at the first call."""
        path = self.path / "password"
        if not path.exists() and not self.cluster.exists():
            clusters.write_private(path, clusters.new_password() + "\n")
            self.adopt(path)
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                f"The embedded server's password cannot be read from {path}: {error.strerror}.",
                remedy="Restore the file, or choose another POSITIONSTORE_DATA_DIR.",
            ) from error


class _SlowWait:
    """Waits in small steps, and says so when it takes long."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._began = time.monotonic()
        self._next_word = self._began + _FIRST_WORD_AFTER

    def wait(self, message: str) -> float:
        """Wait a step; return the seconds waited in all."""
        time.sleep(_POLL)
        now = time.monotonic()
        if now >= self._next_word:
            self._next_word = now + _NEXT_WORD_AFTER
            self._say(message)
        return now - self._began


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ConfigurationError(
            f"The data directory is on a file system without locks: {error.strerror}.",
            remedy="Choose a POSITIONSTORE_DATA_DIR on a local disk.",
        ) from error
    return True


def _attach(home: _Home, account: OsUser | None, say: Say) -> int | None:
    """Return the port of the server that runs, once it answers; None: none runs."""
    slow_wait = _SlowWait(say)
    silent: _SlowWait | None = None
    while True:
        postmaster = find_postmaster(home.cluster, account)
        if postmaster is None:
            if not home.is_held(home.alive):
                return None
            if slow_wait.wait(_REMAINS) > _ORPHANS_GRACE:
                _end_orphans(home, account, say)
        elif postmaster.status.startswith("ready"):
            refusal = _refusal(home, postmaster.port)
            if refusal is None:
                return postmaster.port
            # It may have been killed a moment ago: look again before waiting for its answer.
            silent = silent or _SlowWait(say)
            if silent.wait("The database is not answering yet.") > _CONNECT_GRACE:
                raise DatabaseUnavailableError(
                    f"The embedded server runs but does not answer on port {postmaster.port}: "
                    f"{refusal}.",
                    remedy=f"Its log is in {home.cluster}/log.",
                )
        elif postmaster.status.startswith("stopping"):
            slow_wait.wait("Waiting for the database to stop, to start it again.")
        else:
            slow_wait.wait(f"{_RECOVERY} {_log_tail(home)}".rstrip())


def _refusal(home: _Home, port: int) -> str | None:
    """Return why the server refuses a connection; None: it does not."""
    try:
        _connect(home, port).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise ConfigurationError(
                f"The embedded server does not accept the password in {home.path}/password.",
                remedy="Restore the file, or choose another POSITIONSTORE_DATA_DIR.",
            ) from error
        return clusters.last_words(str(error))
    return None


def _connect(home: _Home, port: int, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        hostaddr="127.0.0.1",
        sslmode="disable",
        options="",
        port=port,
        user=clusters.SUPERUSER,
        password=home.read_password(),
        dbname=database,
        connect_timeout=10,
        autocommit=True,
    )


def _end_orphans(home: _Home, account: OsUser | None, say: Say) -> None:
    """End the children of a server whose head is gone, which keep its files in use."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in survivors(home.cluster, account):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        slow_wait = _SlowWait(say)
        while home.is_held(home.alive):
            if slow_wait.wait(_REMAINS) > _ORPHANS_GRACE:
                break
        else:
            return
    raise DatabaseUnavailableError(
        f"The database in {home.cluster} is in use by a server that is not of this machine, or "
        "in another container.",
        remedy="Stop it there, or choose another POSITIONSTORE_DATA_DIR.",
    )


def _start(
    home: _Home,
    account: OsUser | None,
    say: Say,
    bin_dir: Path | None,
    settings: Mapping[str, str],
) -> int:
    if account is not None and not sys.platform.startswith("linux"):
        raise ConfigurationError(
            "The embedded server cannot be started by root on this system.",
            remedy="Start positionstore as an ordinary user, or set DATABASE_URL.",
        )
    binaries = find_binaries(bin_dir, major=clusters.major_version(home.cluster))
    if account is not None:
        binaries = reachable_by(account, binaries, REACHABLE_HOME)
    password = home.read_password()
    if not home.cluster.exists():
        say("Making the database for the first time.")
        durably = settings.get("fsync") != "off"
        clusters.create(home.cluster, binaries, account, password, durably=durably)
    disown_stranger(home.cluster)
    home.kept.unlink(missing_ok=True)
    preferred = home.last_port()
    for tries_left in reversed(range(_PORT_TRIES)):
        port = clusters.choose_port(preferred)
        clusters.configure(home.cluster, account, port, settings)
        try:
            _run_pg_ctl(home, binaries, account, say)
        except _PortTakenError:
            if not tries_left:
                raise
            preferred = None
        else:
            break
    else:
        raise AssertionError("the last try neither starts nor raises")
    home.remember_port(port)
    _make_database(home, port)
    return port


class _PortTakenError(DatabaseUnavailableError):
    """Someone else took the port between the choice and the start."""


def _run_pg_ctl(home: _Home, binaries: PostgresBinaries, account: OsUser | None, say: Say) -> None:
    before = {path: path.stat().st_size for path in _logs(home)}
    alive = home.open(home.alive)
    try:
        fcntl.flock(alive, fcntl.LOCK_EX)
        with clusters.door(home.cluster, account) as entrance:
            process = clusters.spawn(
                [
                    *(binaries.program("pg_ctl"), "start", "-w", "-t", "864000", "-s"),
                    *("-D", entrance.path, "-l", f"{entrance.path}/start.log"),
                ],
                account=account,
                stdout=subprocess.DEVNULL,
                pass_fds=[alive, *entrance.fds],
            )
    finally:
        os.close(alive)
    slow_wait = _SlowWait(say)
    try:
        while process.poll() is None:
            slow_wait.wait(f"{_RECOVERY} {_log_tail(home)}".rstrip())
    except BaseException:
        # pg_ctl hands an interrupt on to the server that it is starting.
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if process.returncode != 0:
        log = "\n".join(_log_text(path, before.get(path, 0)) for path in _logs(home))
        reason = clusters.last_words(log) or f"pg_ctl ended with code {process.returncode}"
        if "Address already in use" in log:
            raise _PortTakenError(f"The embedded server found no free port: {reason}.")
        raise DatabaseUnavailableError(
            f"The embedded server did not start: {reason}.",
            remedy=f"Its log is in {home.cluster}/log.",
        )


def _make_database(home: _Home, port: int) -> None:
    try:
        with _connect(home, port) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if known.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        raise DatabaseUnavailableError(
            f"The embedded server started but cannot be used: {clusters.last_words(str(error))}.",
            remedy=f"Its log is in {home.cluster}/log.",
        ) from error


def _logs(home: _Home) -> list[Path]:
    """Return the server's logs, the latest last."""
    logs = [home.cluster / "start.log", *(home.cluster / "log").glob("*.log")]
    return sorted((path for path in logs if path.exists()), key=lambda path: path.stat().st_mtime)


def _log_text(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        # A file shorter than it was has been started from the beginning.
        file.seek(offset if offset <= path.stat().st_size else 0)
        return file.read().decode(errors="replace")


def _log_tail(home: _Home) -> str:
    """Return the last line of the server's log, as a remark for the person who waits."""
    logs = _logs(home)
    text = _log_text(logs[-1], max(0, logs[-1].stat().st_size - 2000)) if logs else ""
    # Not what it answers to those who ask too early.
    said = [line.rpartition("LOG:")[2].strip() for line in text.splitlines() if "LOG:" in line]
    return f"It says: {said[-1]}." if said else ""


def _stop(home: _Home, say: Say) -> bool:
    """Stop the server; return whether there was one. To be called exclusively."""
    home.kept.unlink(missing_ok=True)
    if not home.cluster.exists():
        return False
    account = account_for(home.cluster, home.data_dir)
    if not _lives(home, account):
        return False
    for number, grace in ((signal.SIGINT, _STOP_GRACE), (signal.SIGQUIT, _ORPHANS_GRACE)):
        postmaster = find_postmaster(home.cluster, account)
        if postmaster is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(postmaster.pid, number)
        slow_wait = _SlowWait(say)
        while _lives(home, account):
            if slow_wait.wait("Waiting for the database to stop.") > grace:
                break
        else:
            return True
    _end_orphans(home, account, say)
    return True


def _lives(home: _Home, account: OsUser | None) -> bool:
    return home.is_held(home.alive) or find_postmaster(home.cluster, account) is not None
