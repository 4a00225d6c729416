"""The demo's data directory: one demo at a time, and no forgotten processes."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from positionstore.errors import ConfigurationError

_GRACE: Final = 15.0
"""Seconds a process has to stop: the ingester promises ten."""


@dataclass(frozen=True, slots=True)
class DemoDirectory:
    """The demo's directory, held by this process.

    Attributes:
        path: the directory.
    """

    path: Path

    def remember(self, pids: Sequence[int], *, kept: bool = False) -> None:
        """Record which processes run, for a later demo.

        Args:
            pids: their process ids, in the order in which they are to be stopped.
            kept: whether they keep running when this process ends.
        """
        processes = []
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                processes.append((pid, psutil.Process(pid).create_time()))
        written = self._note.with_suffix(".new")
        written.write_text(json.dumps({"processes": processes, "kept": kept}), encoding="utf-8")
        written.replace(self._note)

    def forget(self) -> None:
        """Record that none runs."""
        self._note.unlink(missing_ok=True)

    def left(self) -> tuple[list[psutil.Process], bool]:
        """Return the processes of an earlier demo, and whether they were left on purpose."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            noted = [(int(pid), float(created)) for pid, created in note["processes"]]
            kept = bool(note["kept"])
        except (OSError, ValueError, KeyError, TypeError):
            return [], False
        found = []
        for pid, created in noted:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                # A process id is given to others again.
                if process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found, kept

    def stop_left(self) -> bool:
        """Stop the processes of an earlier demo; return whether there were any."""
        processes, _ = self.left()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
                try:
                    process.wait(_GRACE)
                except psutil.TimeoutExpired:
                    process.kill()
        self.forget()
        return bool(processes)

    @property
    def _note(self) -> Path:
        return self.path / "processes.json"


@contextlib.contextmanager
def entered(path: Path) -> Iterator[DemoDirectory]:
    """Lock a directory for one demo, for the length of a ``with`` block.

    Args:
        path: the directory; made if missing.

    Raises:
        ConfigurationError: another demo uses it, or it cannot be used.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The demo's directory {path} cannot be used: {error.strerror}.",
            remedy="Choose another POSITIONSTORE_DATA_DIR.",
        ) from error
    try:
        try:
            # The kernel's lock dies with its holder, however that ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Another demo is running in {path}.",
                remedy="Wait until it is over, or choose another POSITIONSTORE_DATA_DIR.",
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"{path} is on a file system without locks: {error.strerror}.",
                remedy="Choose a POSITIONSTORE_DATA_DIR on a local disk.",
            ) from error
        yield DemoDirectory(path)
    finally:
        os.close(descriptor)
