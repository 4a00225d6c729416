"""A standalone cluster of Spark on this machine."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from support.waiting import DEADLINE


@dataclass(frozen=True)
class Cluster:
    """A master and its workers.

    Attributes:
        url: the master's.
        logs: of the workers.
        processes: of the master and the workers, which start the executors.
    """

    url: str
    logs: list[Path]
    processes: list[int]

    def executors(self) -> int:
        """Return how many workers were asked for an executor."""
        return sum("Asked to launch executor" in log.read_text() for log in self.logs)


@contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """Start a master and workers with one core each; stop them in the end."""
    with tempfile.TemporaryDirectory(prefix="spark-cluster-") as name, ExitStack() as stack:
        folder = Path(name)
        of_master = ["org.apache.spark.deploy.master.Master", "--port", "0"]
        log, process = _start(stack, folder, "master", of_master)
        url = _told(log, r"master at (spark://\S+)")
        logs, processes = [], [process]
        for number in range(workers):
            of_worker = ["org.apache.spark.deploy.worker.Worker", "--cores", "1"]
            work = ["--memory", "1g", "--work-dir", str(folder / f"work{number}"), url]
            log, process = _start(stack, folder, f"worker{number}", [*of_worker, *work])
            logs.append(log)
            processes.append(process)
        for log in logs:
            _told(log, r"(Successfully registered) with master")
        yield Cluster(url, logs, processes)


def _start(stack: ExitStack, folder: Path, name: str, arguments: list[str]) -> tuple[Path, int]:
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    script = Path(spec.origin).parent / "bin" / "spark-class"
    log = folder / f"{name}.log"
    kind, *rest = arguments
    process = subprocess.Popen(
        [script, kind, "--host", "127.0.0.1", "--webui-port", "0", *rest],
        stdout=stack.enter_context(log.open("w")),
        stderr=subprocess.STDOUT,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return log, process.pid


def _told(log: Path, words: str) -> str:
    until = time.monotonic() + 4 * DEADLINE
    while (found := re.search(words, log.read_text())) is None:
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    return found.group(1)
