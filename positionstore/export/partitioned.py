"""A folder of files: for each increment of the log one, or one for each of its days."""

import contextlib
import shutil
from collections import OrderedDict
from typing import IO, Final, Self

from positionstore.export.destinations import Begin
from positionstore.export.folders import Folder
from positionstore.export.formats import Format, Piece, Writer
from positionstore.export.increments import DataFile, Increment, Plan, stem
from positionstore.files import finish, write_small

_OPEN_AT_ONCE: Final = 64
"""Days that are written at the same time; one more closes the one that rested longest."""


class PartitionedFolder:
    """A folder with a subfolder for each day, ``day=YYYY-MM-DD``, in Hive's layout.

    Files are written elsewhere first. Then they take the place of those that are there; or, as an
    increment of the log, are added to them, and a marker after them.

    Args:
        folder: the folder.
        form: the format of its files.
        begin: opens one.
        what: the prefix of their names.
        span: the first and the last seq of a part of the log, for the names; or None.
        plan: how files are added; None replaces what is there.
    """

    def __init__(
        self,
        folder: Folder,
        form: Format,
        begin: Begin,
        *,
        what: str,
        span: tuple[int, int] | None,
        plan: Plan | None,
    ) -> None:
        self.files = self.size = 0
        self._folder, self._begin, self._plan = folder, begin, plan
        self._what, self._span, self._rows = what, span, 0
        self._stem = stem(what, span)
        self._ending = f".{form}"
        self._open: OrderedDict[str, tuple[str, IO[bytes], Writer]] = OrderedDict()
        self._parts: dict[str, int] = {}
        self._done: dict[str, DataFile] = {}

    def __enter__(self) -> Self:
        self._staging = self._folder.staging()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                while self._open:
                    self._close(next(iter(self._open)))
                self._commit()
        finally:
            for _path, file, writer in self._open.values():
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
        self._open[piece.day][2].write(piece.content)
        self._rows += piece.rows

    def _begun(self, day: str) -> tuple[str, IO[bytes], Writer]:
        part = self._parts[day] = self._parts.get(day, 0) + 1
        again = "" if part == 1 else f"_{part}"
        path = f"day={day}/" * bool(day) + f"{self._stem}{again}{self._ending}"
        (self._staging / path).parent.mkdir(exist_ok=True)
        file = (self._staging / path).open("xb")
        return path, file, self._begin(file)

    def _close(self, day: str) -> None:
        path, file, writer = self._open.pop(day)
        writer.close(whole=True)
        self._done[path] = DataFile(path, finish(file))
        file.close()
        self.files += 1
        self.size += self._done[path].bytes

    def _commit(self) -> None:
        files = {path: self._staging / path for path in sorted(self._done)}
        if self._plan is None:
            if self._span is not None:
                marker = self._marker(self._span)
                write_small(self._staging / "marker", marker.encoded())
                files[marker.path] = self._staging / "marker"
            self._folder.replace_by(files)
            return
        self._folder.remove(self._plan.stale)
        if self._plan.begins:
            # From here on the folder says from which seq it holds the log.
            begun = Increment(self._what, self._plan.since + 1, self._plan.since, 0, ())
            self._folder.write(begun.path, begun.encoded())
        if files and self._span is not None:
            self._folder.put(files)
            marker = self._marker(self._span)
            self._folder.write(marker.path, marker.encoded())

    def _marker(self, span: tuple[int, int]) -> Increment:
        files = tuple(self._done[path] for path in sorted(self._done))
        return Increment(self._what, *span, self._rows, files)
