"""How much room there is where the store's files are on this machine."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from positionstore.settings import Settings

_LEAST_SHARE: Final = 0.05
_LEAST_BYTES: Final = 10e9


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system.

    Attributes:
        holds: what of ours is on it.
        free: bytes that we may still take.
        total: bytes that it has.
    """

    holds: tuple[str, ...]
    free: int
    total: int

    @property
    def has_room(self) -> bool:
        """Whether a twentieth of it is free; of a large one, ten gigabytes will do."""
        return self.free >= min(_LEAST_SHARE * self.total, _LEAST_BYTES)


def _usage(path: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(path)
    return usage.free, usage.total


def disks(settings: Settings, usage: Callable[[Path], tuple[int, int]] = _usage) -> list[Disk]:
    """Return the file systems of the data directory and of the embedded server's files.

    Args:
        settings: say where these are, and whether the embedded server is used.
        usage: returns what is free, and how much there is, where a path is.
    """
    places = {"data directory": settings.store_dir}
    if settings.database_url is None:
        places["embedded server"] = settings.data_dir / "postgres" / "cluster"
    found: dict[int, tuple[list[str], Path]] = {}
    for name, place in places.items():
        # What is not there yet will be made in the nearest directory that is.
        there = next(path for path in (place, *place.parents) if path.exists())
        found.setdefault(there.stat().st_dev, ([], there))[0].append(name)
    return [Disk(tuple(holds), *usage(there)) for holds, there in found.values()]
