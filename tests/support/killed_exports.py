"""Exports that are killed at a chosen step: the n-th call that changes a file or a folder.

Run as a program it reads requests, one line of JSON each, and forks for each one; so what takes
long, importing Arrow, is done once.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_STEPS: Final = ("rename", "unlink", "fsync", "mkdir", "link", "rmdir")


class Killer:
    """Runs exports in processes of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, url: str, out: Path | str, *, at: int, **order: Any) -> bool:
        """Export events to a folder; whether it was killed, at this step, before its end."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("the process has pipes")
        request = {"url": url, "out": str(out), "at": at, "order": order}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        if status not in {0, signal.SIGKILL}:
            raise AssertionError(f"the export ended with status {status}")
        return status == signal.SIGKILL


@contextmanager
def killer() -> Iterator[Killer]:
    """Yield what runs exports to their death."""
    with subprocess.Popen(
        [sys.executable, "-P", __file__, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Killer(process)
        finally:
            process.kill()


def _main() -> None:
    sys.path.insert(0, sys.argv[1])
    from positionstore.export.formats import Format  # noqa: PLC0415 - the same
    from positionstore.store.database import Store  # noqa: PLC0415 - the same
    from support.exporting import Exporter  # noqa: PLC0415 - the path to it was just given

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _die_at(request["at"])
            order = request["order"]
            order["form"] = Format(order.get("form", "parquet"))
            out = request["out"]
            export = Exporter(Store(request["url"], embedded=False))
            export(Path(out), "events", **order)
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)


def _die_at(step: int) -> None:
    left = [step]

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return instead

    for name in _STEPS:
        setattr(os, name, dying(getattr(os, name)))


if __name__ == "__main__":
    _main()
