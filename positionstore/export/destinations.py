"""Destinations of an export. A file gets its name only when it is complete and on disk."""

import contextlib
import os
import re
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self

from positionstore.errors import ConfigurationError
from positionstore.export.formats import Format, Piece, Writer

_OPEN_AT_ONCE: Final = 64
"""Days that are written at the same time; one more closes the one that rested longest."""

Begin = Callable[[IO[bytes]], Writer]
"""Begins a file of the format."""


class Destination(Protocol):
    """Takes pieces; they become visible when the block ends without an error."""

    files: int
    size: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def write(self, piece: Piece) -> None:
        """Write a piece."""


class Stream:
    """Standard output; pieces are visible at once."""

    def __init__(self, file: IO[bytes], begin: Begin) -> None:
        self.files = self.size = 0
        self._file, self._begin = file, begin

    def __enter__(self) -> Self:
        self._writer = self._begin(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.close(whole=kind is None)
        if kind is None:
            self._file.flush()

    def write(self, piece: Piece) -> None:
        """Write a piece."""
        self._writer.write(piece.content)


class File:
    """One file; replaces a file of the same name."""

    def __init__(self, path: Path, begin: Begin) -> None:
        self.files, self.size = 1, 0
        self._path, self._begin = path, begin

    def __enter__(self) -> Self:
        if self._path.is_dir():
            raise ConfigurationError(
                f"{self._path} is a folder.", remedy="Name a file, or add --partition-by day."
            )
        try:
            number, name = tempfile.mkstemp(
                dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".partial"
            )
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._partial = Path(name)
        self._file = os.fdopen(number, "wb")
        self._writer = self._begin(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close(whole=kind is None)
            if kind is None:
                self.size = _finish(self._file)
                self._partial.replace(self._path)
                _sync_folder(self._path.parent)
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)

    def write(self, piece: Piece) -> None:
        """Write a piece."""
        self._writer.write(piece.content)


class PartitionedFolder:
    """A folder with a subfolder for each day, ``day=YYYY-MM-DD``, in Hive's layout.

    Everything is written beside the folder first. Then it replaces the folder; for a part of the
    log, its files are added, after files of the same part were removed.

    Args:
        path: the folder.
        form: the format of its files.
        begin: opens one.
        what: the prefix of their names.
        span: the first and the last seq of a part of the log, for the names; or None.
        add: whether files are added.

    Raises:
        ConfigurationError: the folder has other contents, or its log ends elsewhere.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        begin: Begin,
        *,
        what: str,
        span: tuple[int, int] | None,
        add: bool,
    ) -> None:
        self.files = self.size = 0
        self._path, self._begin, self._add = path, begin, add
        self._span = span
        self._stem = what if span is None else f"{what}-{span[0]:012d}-{span[1]:012d}"
        self._ending = f".{form}"
        self._ours = re.compile(rf"{re.escape(what)}(?:-(\d{{12,}})-(\d{{12,}}))?(?:_\d+)?\.{form}")
        self._stale = self._to_be_taken_away()
        self._open: OrderedDict[str, tuple[IO[bytes], Writer]] = OrderedDict()
        self._parts: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._staging = Path(
                tempfile.mkdtemp(
                    dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".partial"
                )
            )
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._fresh = self._staging / "fresh"
        self._fresh.mkdir()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        del rest
        try:
            if kind is None:
                while self._open:
                    self._close(next(iter(self._open)))
                if self._add:
                    self._add_files()
                else:
                    self._take_the_place()
                _sync_folder(self._path.parent)
        finally:
            for file, writer in self._open.values():
                with contextlib.suppress(OSError):
                    writer.close(whole=False)
                    file.close()
            shutil.rmtree(self._staging, ignore_errors=True)

    def write(self, piece: Piece) -> None:
        """Write a piece, whose rows are of one day."""
        if piece.day not in self._open:
            if len(self._open) >= _OPEN_AT_ONCE:
                self._close(next(iter(self._open)))
            self._open[piece.day] = self._begun(piece.day)
        self._open.move_to_end(piece.day)
        self._open[piece.day][1].write(piece.content)

    def _begun(self, day: str) -> tuple[IO[bytes], Writer]:
        part = self._parts[day] = self._parts.get(day, 0) + 1
        folder = self._fresh / f"day={day}"
        folder.mkdir(exist_ok=True)
        again = "" if part == 1 else f"_{part}"
        file = (folder / f"{self._stem}{again}{self._ending}").open("xb")
        return file, self._begin(file)

    def _close(self, day: str) -> None:
        file, writer = self._open.pop(day)
        writer.close(whole=True)
        self.size += _finish(file)
        file.close()
        self.files += 1

    def _take_the_place(self) -> None:
        for folder in (*self._fresh.iterdir(), self._fresh):
            _sync_folder(folder)
        self._fresh.chmod(0o777 & ~_umask())
        if not self._path.exists():
            self._fresh.rename(self._path)
            return
        replaced = self._path.rename(self._staging / "replaced")
        try:
            self._fresh.rename(self._path)
        except BaseException:
            replaced.rename(self._path)
            raise

    def _add_files(self) -> None:
        for path in self._stale:
            path.unlink()
        self._path.mkdir(exist_ok=True)
        for fresh in sorted(self._fresh.iterdir()):
            folder = self._path / fresh.name
            folder.mkdir(exist_ok=True)
            for path in sorted(fresh.iterdir()):
                path.rename(folder / path.name)
            _sync_folder(folder)
        _sync_folder(self._path)

    def _to_be_taken_away(self) -> list[Path]:
        """Return the files to replace, and check that the others may stay."""
        there = self._there()
        if not self._add or self._span is None:
            return []
        since = self._span[0] - 1
        stale, end = [], 0
        for path in there:
            first, last = self._named_span(path)
            if first > since:
                stale.append(path)
            elif last > since:
                raise ConfigurationError(
                    f"{path} goes on to seq {last}, beyond --since {since}.",
                    remedy=f"Go on with --since {last}, or omit it to export everything again.",
                )
            else:
                end = max(end, last)
        if there and end < since and len(stale) < len(there):
            raise ConfigurationError(
                f"{self._path} ends at seq {end}; --since {since} would leave out what follows it.",
                remedy=f"Go on with --since {end}.",
            )
        return stale

    def _named_span(self, path: Path) -> tuple[int, int]:
        found = self._ours.fullmatch(path.name)
        if found is None or found[1] is None:
            raise ConfigurationError(
                f"{path} does not say which part of the log it is.", remedy=_ANOTHER_FOLDER
            )
        return int(found[1]), int(found[2])

    def _there(self) -> list[Path]:
        """Return the existing files of the folder.

        Raises:
            ConfigurationError: there is a file that is not of such an export.
        """
        if not self._path.exists():
            return []
        if not self._path.is_dir():
            raise ConfigurationError(f"{self._path} is no folder.", remedy=_ANOTHER_FOLDER)
        found = []
        for folder in sorted(self._path.iterdir()):
            if not folder.is_dir() or not folder.name.startswith("day="):
                raise _foreign(folder)
            for path in sorted(folder.iterdir()):
                if not self._ours.fullmatch(path.name):
                    raise _foreign(path)
                found.append(path)
        return found


_ANOTHER_FOLDER: Final = "Name another folder, or one that is not there yet."


def _foreign(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} is not of such an export.", remedy=_ANOTHER_FOLDER)


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be written: {error.strerror}.", remedy="Give --out another place."
    )


def _finish(file: IO[bytes]) -> int:
    """Sync a file to disk, with the permissions of a new file; return its size."""
    file.flush()
    os.fchmod(file.fileno(), 0o666 & ~_umask())
    os.fsync(file.fileno())
    return os.fstat(file.fileno()).st_size


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
