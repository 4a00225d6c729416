"""A small disk that can be filled: a file system in memory, where the machine lets us have one."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PIECE: Final = 8 * 1024 * 1024
"""Bytes taken at once: what was taken stands where somebody else was faster with the rest."""


class Disk:
    """A file system of its own.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, *, all_but: int = 0) -> None:
        """Take all that is free, or leave so many bytes of it."""
        with self._ballast.open("ab") as file:
            while (free := self._free() - all_but) > 0:
                with contextlib.suppress(OSError):
                    end = file.seek(0, os.SEEK_END)
                    os.posix_fallocate(file.fileno(), end, min(free, _PIECE))

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)

    def _free(self) -> int:
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Disk | None]:
    """Mount one; where that is not allowed there is a plain directory, and None is yielded."""
    path.mkdir(parents=True)
    mounted = False
    if os.geteuid() == 0:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(path)],
            capture_output=True,
            check=False,
        )
        mounted = made.returncode == 0
    try:
        yield Disk(path) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
