"""What a folder holds of the log: increments, each with a marker that says it is complete.

An increment is a range of ``seq``. Its files are put into the folder first and its marker last,
in one step: what has no marker is not there for a reader who goes by markers, and is removed by the
next export. So a kill at any moment leaves the folder with whole increments.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from positionstore.errors import ConfigurationError

MARKERS: Final = "_increments"
"""The folder of markers; readers of Hive's layout pass over names with an underscore."""

_ANOTHER_FOLDER: Final = "Name another folder, or one that is not there yet."


class DataFile(msgspec.Struct, frozen=True):
    """A file of an increment.

    Attributes:
        path: where it is, from the folder on.
        bytes: its size.
    """

    path: str
    bytes: int


class Increment(msgspec.Struct, frozen=True):
    """A marker.

    Attributes:
        what: what was exported: ``events``.
        first_seq: the first seq of the range.
        last_seq: the last one; one less than the first for the marker that begins a folder.
        rows: the number of rows.
        files: the files.
    """

    what: str
    first_seq: int
    last_seq: int
    rows: int
    files: tuple[DataFile, ...]

    @property
    def path(self) -> str:
        """Where the marker is, from the folder on."""
        return f"{MARKERS}/{stem(self.what, (self.first_seq, self.last_seq))}.json"

    def encoded(self) -> bytes:
        """Return its text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """How an increment is added to a folder.

    Attributes:
        since: the seq after which it begins.
        begins: whether the folder holds no increment before it.
        stale: paths to remove first, markers before files.
    """

    since: int
    begins: bool
    stale: tuple[str, ...]


def stem(what: str, span: tuple[int, int] | None) -> str:
    """Return how the names of a range's files begin."""
    return what if span is None else f"{what}-{span[0]:012d}-{span[1]:012d}"


class FolderContents:
    """The files of a folder that are of an export.

    Args:
        place: the folder, for messages.
        what: what is exported.
        form: the format, as the files' extension.
        by_day: whether each day has a subfolder.

    Attributes:
        files: the sizes of data files, by their paths.
        markers: the markers, in the order of their ranges.
    """

    def __init__(self, place: str, what: str, form: str, *, by_day: bool) -> None:
        self.files: dict[str, int] = {}
        self.markers: list[Increment] = []
        self.marker_paths: list[str] = []
        self._place = place
        day = r"day=[^/]+/" if by_day else ""
        name = rf"{re.escape(what)}(?:-\d{{12,}}-\d{{12,}})?(?:_\d+)?\.{form}"
        self._ours = re.compile(day + name)
        self._marker = re.compile(rf"{MARKERS}/{re.escape(what)}-\d{{12,}}-\d{{12,}}\.json")

    def sort_in(self, sizes: Mapping[str, int]) -> Self:
        """Take the files of a folder; those that begin with ``_`` or ``.`` belong to others.

        Raises:
            ConfigurationError: one is not of such an export.
        """
        for path, size in sorted(sizes.items()):
            if self._marker.fullmatch(path):
                self.marker_paths.append(path)
            elif hidden(path):
                continue
            elif self._ours.fullmatch(path):
                self.files[path] = size
            else:
                raise ConfigurationError(
                    f"{self._place}/{path} is not of such an export.", remedy=_ANOTHER_FOLDER
                )
        return self

    def understand(self, texts: Sequence[bytes]) -> None:
        """Take the texts of the markers.

        Raises:
            ConfigurationError: one is no marker.
        """
        for path, text in zip(self.marker_paths, texts, strict=True):
            try:
                self.markers.append(msgspec.json.decode(text, type=Increment))
            except msgspec.DecodeError:
                raise ConfigurationError(
                    f"{self._place}/{path} is no marker of an increment.", remedy=_ANOTHER_FOLDER
                ) from None
        self.markers.sort(key=lambda marker: (marker.first_seq, marker.last_seq))

    def plan(self, since: int | None) -> Plan:
        """Plan an increment.

        Args:
            since: the seq after which it begins; None goes on from where the folder ends.

        Raises:
            ConfigurationError: facts would be left out or be there twice.
        """
        if self.files and not self.markers:
            raise ConfigurationError(
                f"{self._place} has files, but no marker that says which of them are complete.",
                remedy="Export it again without --since and --resume.",
            )
        kept = self._chain(since)
        end = kept[-1].last_seq if kept else None
        if since is None:
            since = end or 0
        elif end is not None and end != since:
            raise ConfigurationError(
                f"{self._place} ends at seq {end}; --since {since} would leave out what follows.",
                remedy=f"Go on with --since {end}.",
            )
        listed = {file.path for marker in kept for file in marker.files}
        return Plan(
            since,
            not kept,
            (
                *(marker.path for marker in self.markers if marker not in kept),
                *(path for path in self.files if path not in listed),
            ),
        )

    def refuse_to_replace(self, *, log: bool) -> None:
        """Refuse to replace what is there, where that is not done in one step.

        Args:
            log: whether the log is exported, which can be added to.

        Raises:
            ConfigurationError: the folder has files, or is to have files that will be replaced.
        """
        if not log:
            raise ConfigurationError(
                "An object store cannot replace a folder in one step.",
                remedy="Export one file, without --partition-by.",
            )
        if self.files or self.marker_paths:
            raise ConfigurationError(
                f"{self._place} holds an export, which an object store cannot replace in one step.",
                remedy="Add to it with --resume, or name another place.",
            )

    def _chain(self, since: int | None) -> list[Increment]:
        """Return the increments up to ``since``, each of which begins where another ends."""
        chain: list[Increment] = []
        for marker in self.markers:
            if since is not None and marker.first_seq > since + 1:
                break
            if since is not None and marker.first_seq == since + 1 and marker.files:
                break
            if since is not None and marker.last_seq > since:
                raise ConfigurationError(
                    f"{self._place} has seq {marker.first_seq} to {marker.last_seq} as one"
                    f" increment, beyond --since {since}.",
                    remedy=f"Go on with --since {marker.last_seq}, or omit it to export everything"
                    " again.",
                )
            if chain and marker.first_seq != chain[-1].last_seq + 1:
                self._broken(
                    f"has seq {marker.first_seq} to {marker.last_seq}, which does not follow",
                    chain[-1].last_seq,
                )
            for file in marker.files:
                if (size := self.files.get(file.path)) is None:
                    self._broken(f"lacks {file.path}, which follows", marker.first_seq - 1)
                if size != file.bytes:
                    self._broken(
                        f"has {size:,} bytes in {file.path} where its marker says"
                        f" {file.bytes:,}, which follows",
                        marker.first_seq - 1,
                    )
            chain.append(marker)
        return chain

    def _broken(self, words: str, end: int) -> None:
        raise ConfigurationError(
            f"{self._place} {words} seq {end}.",
            remedy=f"Go on with --since {end}, which exports again all that comes after it.",
        )


def hidden(path: str) -> bool:
    """Whether readers of Hive's layout pass over a path: a part of it begins with _ or a dot."""
    return any(part.startswith(("_", ".")) for part in path.split("/"))
