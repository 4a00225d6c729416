"""The processes of a demo: started as a user would, watched, and stopped cleanly."""

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from positionstore.errors import PositionstoreError

_GRACE: Final = 15.0
"""Seconds a process has to stop: the ingester promises ten."""

_LONGEST_LINE: Final = 400


class Process:
    """A command of positionstore that runs beside the demo.

    It has its own session: Ctrl-C on the terminal goes to the demo, which stops its processes in
    order.

    Args:
        name: its name, for people.
        command: the program and its arguments.
        environment: its whole environment.
        directory: its working directory, also for its log, ``<name>.log``.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], directory: Path
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def first_line(self, *, within: float) -> bytes:
        """Wait for its first line of output.

        Args:
            within: seconds to wait.

        Raises:
            PositionstoreError: it ended, or took too long.
        """
        output = self._process.stdout
        if output is None:
            raise RuntimeError("standard output is not a pipe")
        line = b""
        deadline = time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise self._failure(f"said nothing for {within:.0f} seconds")
                if not (read := os.read(output.fileno(), 65536)):
                    self._process.wait(_GRACE)
                    self.check()
                line += read
        return line

    def check(self) -> None:
        """Raise PositionstoreError with its last output if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise self._failure(f"ended by itself with code {code}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def wait(self) -> None:
        """Wait until it has stopped.

        Raises:
            PositionstoreError: its exit code was not 0, or it did not end and was killed.
        """
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failure(
                f"did not stop within {_GRACE:.0f} seconds and was killed"
            ) from None
        self._close()
        if code != 0:
            raise self._failure(f"stopped with code {code}")

    def stop(self) -> None:
        """Ask it to stop and wait until it has.

        Raises:
            PositionstoreError: as ``wait``.
        """
        self.check()
        self.ask_to_stop()
        self.wait()

    def leave(self) -> None:
        """Keep it running when this process ends."""
        self._close()
        self._process.returncode = 0  # otherwise Popen warns that it was not waited for

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _failure(self, what: str) -> PositionstoreError:
        said = self._last_line()
        return PositionstoreError(
            f"The {self.name} {what}{f'; it said: {said}' if said else '.'}",
            remedy=f"Its log is {self.log}.",
        )

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        line = lines[-1].removeprefix("positionstore: ") if lines else ""
        return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."


@contextlib.contextmanager
def none_left() -> Iterator[list[Process]]:
    """Yield a list for processes; if the block fails, those in it are stopped.

    A second Ctrl-C kills them.
    """
    processes: list[Process] = []
    try:
        yield processes
    except BaseException:
        try:
            for process in processes:
                process.ask_to_stop()
            for process in processes:
                # What went wrong first is what is reported.
                with contextlib.suppress(PositionstoreError):
                    process.wait()
        finally:
            for process in processes:
                process.kill()
        raise
