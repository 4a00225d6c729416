"""Where the tests' temporary files are: in memory, where there is room.

Nothing that a test writes has to outlive it, and its stores are some thousand small files each
time: on a disk, making them costs more processor time than all that is done with them. ``TMPDIR``,
where it is set, says otherwise, and so does a machine without much memory.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

import psutil

IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is put there has names of its own, as in /tmp
ROOM: Final = 4 * 2**30
"""Bytes that a run may want there; twice as much memory is to be free."""


def in_memory() -> bool:
    """Return whether the folder in memory has room, and lets programs be run from it."""
    try:
        there = os.statvfs(IN_MEMORY)
    except OSError:
        return False
    return (
        there.f_bavail * there.f_frsize >= ROOM
        and not there.f_flag & os.ST_NOEXEC
        and os.access(IN_MEMORY, os.W_OK)
        and psutil.virtual_memory().available >= 2 * ROOM
    )


def choose() -> None:
    """Have this process and those that it starts keep temporary files in memory, if they can."""
    if "TMPDIR" not in os.environ and in_memory():
        os.environ["TMPDIR"] = str(IN_MEMORY)
        tempfile.tempdir = None  # else it remembers the folder it chose before
