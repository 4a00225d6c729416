"""What the processes take for the time: libfaketime, where it is installed."""

from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
)


class Clock:
    """The wall clocks of processes, each to be put forward or back while they run.

    Args:
        library: libfaketime.
        folder: where the time of each is kept, in a file.
    """

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = library
        self._folder = folder

    @classmethod
    def found(cls, folder: Path) -> "Clock | None":
        """Return one where libfaketime is installed."""
        library = next((path for path in _LIBRARIES if path.exists()), None)
        return None if library is None else cls(library, folder)

    def environment(self, name: str) -> dict[str, str]:
        """Return what a process has to be started with."""
        if not self._file(name).exists():
            self.jump(name, 0.0)
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }

    def jump(self, name: str, seconds: float) -> None:
        """Let a process's clock differ from ours by so many seconds."""
        new = self._file(name).with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.replace(self._file(name))

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.time"
