"""Files that have to survive a crash of the machine."""

import os
from pathlib import Path
from typing import IO


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finish(file: IO[bytes]) -> int:
    """Bring a file to the disk, with the permissions of a new file; return its size."""
    file.flush()
    os.fchmod(file.fileno(), 0o666 & ~umask())
    os.fsync(file.fileno())
    return os.fstat(file.fileno()).st_size


def write_small(path: Path, content: bytes) -> None:
    """Write a small file and bring it to the disk; its name is for the caller to bring there."""
    with path.open("wb") as file:
        file.write(content)
        finish(file)


def umask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
