"""Folders of exports on a local disk, and how they change so that a kill does no harm."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from positionstore.errors import ConfigurationError
from positionstore.export.destinations import unwritable
from positionstore.export.increments import MARKERS, hidden
from positionstore.files import sync_folder, umask, write_small

_HERE: Final = -100
"""``AT_FDCWD``: paths are meant as they are."""
_EXCHANGE: Final = 2
"""``RENAME_EXCHANGE``."""
_PARTIAL: Final = ".partial"


class Folder(Protocol):
    """Where files are put under paths such as ``day=2026-07-01/events.parquet``.

    Attributes:
        name: the folder, for people.
        key: the same, whatever way it was named.
    """

    name: str
    key: str

    def sizes(self) -> Mapping[str, int]:
        """Return the size of each file, by its path."""

    def read(self, path: str) -> bytes:
        """Return a small file's contents."""

    def staging(self) -> Path:
        """Return a new local folder for files that are not complete yet; its owner removes it."""

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, in this order."""

    def put(self, files: Mapping[str, Path]) -> None:
        """Put complete files into the folder; it returns when they are durable."""

    def write(self, path: str, content: bytes) -> None:
        """Write a small file: there is either all of it, durably, or nothing."""

    def replace_by(self, files: Mapping[str, Path]) -> None:
        """Make these files the only ones, besides those of others."""


class LocalFolder:
    """A folder on a disk of this machine.

    Raises:
        ConfigurationError: something else is there, or it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.name, self.key = str(path), str(path.resolve())
        self.path = path
        if path.exists() and not path.is_dir():
            raise ConfigurationError(
                f"{path} is no folder.", remedy="Name another folder, or one that is not there yet."
            )

    def sizes(self) -> Mapping[str, int]:
        """Return the size of each file, by its path."""
        return {
            str(Path(folder, name).relative_to(self.path)): Path(folder, name).lstat().st_size
            for folder, _, names in os.walk(self.path)
            for name in names
        }

    def read(self, path: str) -> bytes:
        """Return a small file's contents."""
        return (self.path / path).read_bytes()

    def staging(self) -> Path:
        """Return a new folder beside it, on the same disk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return Path(
                tempfile.mkdtemp(
                    dir=self.path.parent, prefix=f".{self.path.name}.", suffix=_PARTIAL
                )
            )
        except OSError as error:
            raise unwritable(self.path, error) from None

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, in this order."""
        for path in paths:
            (self.path / path).unlink()
            sync_folder((self.path / path).parent)

    def put(self, files: Mapping[str, Path]) -> None:
        """Give complete files of the same disk their names."""
        self.path.mkdir(exist_ok=True)
        for path, source in files.items():
            target = self.path / path
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
        for folder in {(self.path / path).parent for path in files}:
            sync_folder(folder)
        sync_folder(self.path)
        sync_folder(self.path.parent)

    def write(self, path: str, content: bytes) -> None:
        """Write a small file under another name, then give it its own."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in target.parent.glob(f".*{_PARTIAL}"):
            abandoned.unlink()
        partial = target.with_name(f".{target.name}{_PARTIAL}")
        write_small(partial, content)
        partial.rename(target)
        sync_folder(target.parent)
        sync_folder(self.path)

    def replace_by(self, files: Mapping[str, Path]) -> None:
        """Build a folder of the new files and those of others, and let it take the place."""
        fresh = self.staging()
        try:
            for path, source in files.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                source.rename(fresh / path)
            for path in filter(hidden, self.sizes()):
                if not path.startswith(f"{MARKERS}/"):
                    link(self.path / path, fresh / path)
            for folder, _, _ in os.walk(fresh, topdown=False):
                Path(folder).chmod(0o777 & ~umask())
                sync_folder(Path(folder))
            if self.path.exists():
                _exchange(fresh, self.path)
            else:
                fresh.rename(self.path)
            sync_folder(self.path.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where a disk has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _exchange(fresh: Path, old: Path) -> None:
    """Let two folders swap their names: in one step where the system can do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        done = libc.renameat2(_HERE, os.fsencode(fresh), _HERE, os.fsencode(old), _EXCHANGE)
        if done == 0:
            return
    aside = fresh.with_name(f"{fresh.name}.replaced")
    old.rename(aside)
    try:
        fresh.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    aside.rename(fresh)
