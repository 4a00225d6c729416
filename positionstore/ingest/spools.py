"""The spools of a data directory: this process's own, those that dead processes left."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from typing import Final

from positionstore.errors import ConfigurationError
from positionstore.files import sync_folder
from positionstore.ingest.spool import (
    DAMAGED,
    FILE,
    DamagedSpoolError,
    Size,
    Spool,
    create,
    set_aside,
    size_in,
    translated,
)
from positionstore.log import get_logger
from positionstore.settings import Environment, Settings

_log = get_logger(__name__)

LOCK: Final = "lock"


class SpoolState(StrEnum):
    """What is to be said of a spool."""

    IN_USE = "in_use"
    LEFT_BEHIND = "left_behind"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Listed:
    """A spool, as a list shows it.

    Attributes:
        name: its folder's, under ``spool/`` of the data directory.
        state: whether a process uses it, or none, or it was set aside.
        size: what it holds; nothing is known of a damaged one.
    """

    name: str
    state: SpoolState
    size: Size


@dataclass(frozen=True, slots=True)
class SpoolTotals:
    """All spools of a data directory together.

    Attributes:
        spools: how many there are, empty ones too.
        events: how many inputs wait in them.
        bytes: how much of the disk they take.
        oldest: when the first of the inputs was received, UTC; None where there is none.
        damaged: how many spools were set aside.
        left_behind: how many have no process that uses them.
        largest: how many bytes the largest of them takes.
        max_bytes: how many each of them may take.
    """

    spools: int
    events: int
    bytes: int
    oldest: datetime | None
    damaged: int
    left_behind: int
    largest: int
    max_bytes: int


class Spools:
    """Where spools are kept: ``spool/`` in the data directory.

    Args:
        data_dir: the folder of everything positionstore keeps.
        max_bytes: how large a spool may become.
    """

    def __init__(self, data_dir: Path, *, max_bytes: int) -> None:
        self._data_dir = data_dir
        self._root = data_dir / "spool"
        self._max_bytes = max_bytes
        self._told: set[str] = set()

    def own(self, environment: Environment) -> Spool:
        """Make one for this process.

        Raises:
            ConfigurationError: the data directory cannot be written to.
            SpoolError: the file cannot be made.
        """
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{token_hex(4)}"
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self._data_dir)
            return self._made(self._root / name, environment)
        except OSError as error:
            raise ConfigurationError(
                f"No spool can be made in {self._root}: {error.strerror}.",
                remedy="Set POSITIONSTORE_DATA_DIR to a directory that this user may write to.",
            ) from None

    def adopt_orphans(self, environment: Environment | None) -> Iterator[Spool]:
        """Take over the spools whose processes are gone, the oldest first; the caller closes each.

        A damaged one is set aside, and said; one of the other environment is left alone, and said
        once.
        """
        found = list(folders(self._root))
        self._told.intersection_update(folder.name for folder in found)
        for folder in found:
            lock = None if folder.name.endswith(DAMAGED) else locked(folder)
            if lock is None:
                continue
            try:
                spool = Spool(folder, lock, max_bytes=self._max_bytes)
            except DamagedSpoolError as error:
                tell_damage(error, set_aside(folder, lock))
                continue
            except BaseException:
                os.close(lock)
                raise
            if environment is not None and spool.environment is not environment:
                spool.close()
                self._tell_stranger(spool)
                continue
            yield spool

    def _made(self, folder: Path, environment: Environment) -> Spool:
        """Make one, which no other process sees before it is complete and locked."""
        making = folder.with_name(f".{folder.name}")
        making.mkdir(mode=0o700)
        lock = os.open(making / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            create(making / FILE, environment)
            making.rename(folder)
            sync_folder(folder)
            sync_folder(folder.parent)
            return Spool(folder, lock, max_bytes=self._max_bytes)
        except BaseException as error:
            os.close(lock)
            shutil.rmtree(making, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, sqlite3.Error):
                raise translated(error, folder) from error
            raise

    def _tell_stranger(self, spool: Spool) -> None:
        if spool.folder.name not in self._told:
            self._told.add(spool.folder.name)
            _log.warning(
                "spool_of_other_environment",
                spool=spool.folder.name,
                environment=spool.environment,
                events=size_of(spool.folder).events,
            )

    def listed(self) -> list[Listed]:
        """Return what there is, the oldest first."""
        return [_listed(folder) for folder in folders(self._root)]

    def totals(self) -> SpoolTotals:
        """Return what there is in all."""
        found = self.listed()
        return SpoolTotals(
            spools=len(found),
            events=sum(each.size.events for each in found),
            bytes=sum(each.size.bytes for each in found),
            oldest=min((each.size.oldest for each in found if each.size.oldest), default=None),
            damaged=sum(each.state is SpoolState.DAMAGED for each in found),
            left_behind=sum(each.state is SpoolState.LEFT_BEHIND for each in found),
            largest=max((each.size.bytes for each in found), default=0),
            max_bytes=self._max_bytes,
        )


def totals_of(settings: Settings) -> SpoolTotals:
    """Return what waits in the spools of a store on this machine."""
    return Spools(settings.store_dir, max_bytes=settings.spool_max_bytes).totals()


def tell_damage(error: Exception, aside: Path) -> None:
    """Say in one line that a spool was set aside."""
    _log.error("spool_damaged", error=str(error), set_aside=str(aside))


def _listed(folder: Path) -> Listed:
    nothing = Size(0, 0, None)
    if folder.name.endswith(DAMAGED):
        return Listed(folder.name, SpoolState.DAMAGED, nothing)
    try:
        size = size_of(folder)
    except DamagedSpoolError:
        return Listed(folder.name, SpoolState.DAMAGED, nothing)
    lock = locked(folder)
    if lock is None:
        return Listed(folder.name, SpoolState.IN_USE, size)
    os.close(lock)
    return Listed(folder.name, SpoolState.LEFT_BEHIND, size)


def locked(folder: Path) -> int | None:
    """Take a spool's lock; return its descriptor, None where its owner lives or it is gone."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its former owner may have removed the folder.
        if os.path.samestat(os.fstat(lock), (folder / LOCK).stat()):
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def size_of(folder: Path) -> Size:
    """Return how much a spool holds that another process may be using.

    Raises:
        DamagedSpoolError: it cannot be read.
    """
    try:
        with closing(
            sqlite3.connect(f"{(folder / FILE).as_uri()}?mode=ro", uri=True)
        ) as connection:
            return size_in(connection)
    except sqlite3.Error as error:
        raise DamagedSpoolError(f"{folder} cannot be read: {error}.") from error


def folders(root: Path) -> Iterator[Path]:
    """Return the folders of spools, the oldest first, those set aside too."""
    with suppress(OSError):
        yield from sorted(
            path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
        )
