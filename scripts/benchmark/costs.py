"""What a piece of work costs: seconds, CPU time of the client and of the server, memory.

CPU time is that of all processes that take part, which other work on the machine changes less than
it changes seconds.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmark.builds import THIS

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What one piece of work cost.

    Attributes:
        what: the work.
        facts: of how many facts the store was.
        seconds: how long it took.
        client_seconds: CPU time of the client, with the processes that it started.
        server_seconds: CPU time of PostgreSQL.
        peak_mib: the client's memory at most, with the processes that it started.
        load: the machine's load at the end.
    """

    what: str
    facts: int
    seconds: float
    client_seconds: float
    server_seconds: float
    peak_mib: int
    load: float

    @property
    def cpu_micros(self) -> float:
        """CPU time of all for each fact, in microseconds."""
        return (self.client_seconds + self.server_seconds) / self.facts * 1e6

    def as_json(self) -> dict[str, object]:
        """Return it for the report."""
        return asdict(self)


class Meter:
    """Tells what work costs, of the client and of one server on this machine.

    Args:
        backend: the process of one of the server's sessions.
        facts: of how many facts the store is.
    """

    def __init__(self, backend: int, facts: int) -> None:
        parent = psutil.Process(backend).parent()
        if parent is None:
            raise SystemExit("The server is not on this machine.")
        self._server, self._facts = parent, facts

    def command(
        self,
        what: str,
        arguments: Sequence[object],
        *,
        folder: Path,
        url: str,
        helpers: Sequence[psutil.Process] = (),
    ) -> Cost:
        """Run a command of this build in a folder, on the store of a URL.

        The processes of ``helpers``, such as a cluster's workers, and all that they start count as
        the client's.
        """
        theirs, others = self._cpu(), set(self._server.children())
        began = time.monotonic()
        client, peak = _run(arguments, folder, url, helpers)
        seconds = time.monotonic() - began
        # The server knows what a session took when it has ended.
        psutil.wait_procs(set(self._server.children()) - others, timeout=10)
        return Cost(
            what=what,
            facts=self._facts,
            seconds=round(seconds, 2),
            client_seconds=round(client, 2),
            server_seconds=round(self._cpu() - theirs, 2),
            peak_mib=peak,
            load=round(os.getloadavg()[0], 1),
        )

    def _cpu(self) -> float:
        own = self._server.cpu_times()
        total = own.children_user + own.children_system
        for each in self._server.children():
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return float(total)


def _run(
    arguments: Sequence[object], folder: Path, url: str, helpers: Sequence[psutil.Process]
) -> tuple[float, int]:
    """Run a command; return its CPU time and its memory in MiB, with all its descendants."""
    before = sum(_seconds(each) for each in _trees(helpers))
    process = psutil.Popen(
        THIS.command(*map(str, arguments)),
        cwd=folder,
        env={**THIS.environment(), "DATABASE_URL": url, "POSITIONSTORE_DATA_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    spent: dict[int, float] = {}
    most = 0
    while process.poll() is None:
        memory = 0
        try:
            for each in _trees((process, *helpers)):
                spent[each.pid] = _seconds(each)
                memory += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        most = max(most, memory)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} ended with {process.returncode}")
    return sum(spent.values()) - before, round(most / _MIB)


def _trees(roots: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for each in roots:
        yield each
        yield from each.children(recursive=True)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
