"""Exports that are killed at a chosen step: before or after the n-th call that changes something.

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

import psycopg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFile

from positionstore.export.object_store import _Objects

_STEPS: Final[dict[str, list[tuple[Any, str]]]] = {
    "folder": [(os, name) for name in ("rename", "unlink", "fsync", "mkdir", "link", "rmdir")],
    "objects": [(_Objects, "upload"), (_Objects, "delete")],
    "iceberg": [(PyArrowFile, "create"), (SqlCatalog, "commit_table")],
}
"""What is a step, by where an export goes."""
_HELD: Final = """
    SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE datname = current_database() AND locktype = 'advisory'
"""


class Killer:
    """Runs exports in processes of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._url = ""
        self._look: psycopg.Connection | None = None

    def __call__(
        self, url: str, out: Path | str, *, at: int, of: str = "folder", **order: Any
    ) -> bool:
        """Export events; whether it was killed, at this step, before its end."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("the process has pipes")
        request = {"url": url, "out": str(out), "at": at, "of": of, "order": order}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        if status not in {0, signal.SIGKILL}:
            raise AssertionError(f"the export ended with status {status}")
        if status == signal.SIGKILL:
            self._wait_for_the_server(url)
        return status == signal.SIGKILL

    def _wait_for_the_server(self, url: str) -> None:
        """Wait until it has noticed, and the lock of the killed export is free."""
        from support.waiting import wait_until  # noqa: PLC0415 - as a program it has no path to it

        if url != self._url:
            self.close()
            self._url, self._look = url, psycopg.connect(url, autocommit=True)
        look = self._look
        assert look is not None
        wait_until(
            lambda: look.execute(_HELD).fetchone() is None, "the lock of a killed one is free"
        )

    def close(self) -> None:
        """Look at the server no more."""
        if self._look is not None:
            self._look.close()


@contextmanager
def killer() -> Iterator[Killer]:
    """Yield what runs exports to their death."""
    with subprocess.Popen(
        [sys.executable, "-P", __file__, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        killer = Killer(process)
        try:
            yield killer
        finally:
            killer.close()
            process.kill()


def _main() -> None:
    sys.path.insert(0, sys.argv[1])
    # The path to the last was just given; what is imported here, no fork has to import.
    import positionstore.export.iceberg  # noqa: PLC0415 - see above
    import positionstore.export.parquet  # noqa: F401, PLC0415 - see above
    from positionstore.export.formats import Format  # noqa: PLC0415 - see above
    from positionstore.store.database import Store  # noqa: PLC0415 - see above
    from support.exporting import Exporter  # noqa: PLC0415 - see above

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _die_at(request["at"], request["of"])
            order = request["order"]
            if order.pop("lake", False):
                from positionstore.lake.feed import feed  # noqa: PLC0415 - the same

                feed(Store(request["url"], embedded=False), Path(request["out"]), **order)
                os._exit(0)
            order["form"] = Format(order.get("form", "parquet"))
            out = request["out"]
            export = Exporter(Store(request["url"], embedded=False))
            export(out if "://" in out else Path(out), "events", **order)
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)


def _die_at(at: int, of: str) -> None:
    left = [at]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any, **named: Any) -> Any:
            step()
            result = call(*arguments, **named)
            if of != "folder":  # there, after one is before the next
                step()
            return result

        return instead

    for owner, name in _STEPS[of]:
        setattr(owner, name, dying(getattr(owner, name)))


if __name__ == "__main__":
    _main()
