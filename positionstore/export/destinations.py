"""Destinations of an export. A file gets its name only when it is complete and on disk."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from positionstore.errors import ConfigurationError
from positionstore.export.formats import Piece, Writer
from positionstore.files import finish, sync_folder

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
                f"{self._path} is a folder.",
                remedy="Name a file, or add --partition-by day or --resume.",
            )
        try:
            number, name = tempfile.mkstemp(
                dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".partial"
            )
        except OSError as error:
            raise unwritable(self._path, error) from None
        self._partial = Path(name)
        self._file = os.fdopen(number, "wb")
        self._writer = self._begin(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close(whole=kind is None)
            if kind is None:
                self.size = finish(self._file)
                self._partial.replace(self._path)
                sync_folder(self._path.parent)
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
            self._partial.unlink(missing_ok=True)

    def write(self, piece: Piece) -> None:
        """Write a piece."""
        self._writer.write(piece.content)


def unwritable(path: Path | str, error: OSError) -> ConfigurationError:
    """Return the error for a place that cannot be written to."""
    return ConfigurationError(
        f"{path} cannot be written: {error.strerror or error}.", remedy="Give --out another place."
    )
