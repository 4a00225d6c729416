"""What a short command costs, and what a service takes that has nothing to do."""

import json
import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median
from typing import IO, Final

from benchmark.bed import Bed
from benchmark.builds import THIS, Build
from benchmark.processes import ended
from benchmark.report import Figure, say
from benchmark.scale import Scale

MOST_OF_EARLIER: Final = 0.4
MOST_OF_IMPORTING: Final = 2.0
MOST_MEGABYTES: Final = 80.0

_IMPORTING: Final = ("-c", "import psycopg")
"""The least that a command which asks the database can do."""

_ABSENT: Final = ("charset_normalizer", "click", "greenlet", "requests", "urllib3", "zstandard")
"""What a checkout has installed and a service has not, and libraries import where it is there."""

_A_MOMENT: Final = 0.05


def measure(bed: Bed, scale: Scale, earlier: Build | None) -> list[Figure]:
    """Run ``status`` on the embedded server, and an idle service."""
    return [*_status(bed, scale, earlier), _idle(bed)]


# --- status --------------------------------------------------------------------------------------


def _status(bed: Bed, scale: Scale, earlier: Build | None) -> Iterator[Figure]:
    turns = 2 * scale.turns + 1
    python = THIS.command()[0]
    importing = median(_cpu([python, *_IMPORTING], {}) for _ in range(turns))
    ours, theirs = [], []
    with _served(THIS, bed.folder / "start-this") as (this, postmaster):
        if earlier is None:
            ours = [_both(THIS, this, postmaster) for _ in range(turns)]
        else:
            with _served(earlier, bed.folder / "start-earlier") as (other, others_postmaster):
                for _ in range(turns):
                    theirs.append(_both(earlier, other, others_postmaster))
                    ours.append(_both(THIS, this, postmaster))
    mine, server = median(client for client, _ in ours), mean(server for _, server in ours)
    say(f"status: {mine * 1000:.0f} ms of CPU time, {server * 1000:.0f} in the server")
    yield Figure(
        name="status",
        title="CPU time of status, of importing psycopg alone",
        value=mine / importing,
        below=MOST_OF_IMPORTING,
        said=f"{mine * 1000:.0f} ms against {importing * 1000:.0f}; median of {turns}",
        measured={"seconds": mine, "server_seconds": server, "importing_seconds": importing},
    )
    if earlier is not None:
        others = median(client for client, _ in theirs)
        others_server = mean(server for _, server in theirs)
        yield Figure(
            name="status_turns",
            title=f"CPU time of status, of that of {earlier.name}",
            value=mine / others,
            below=MOST_OF_EARLIER,
            said=f"{mine * 1000:.0f} ms against {others * 1000:.0f}, and in the server "
            f"{server * 1000:.0f} against {others_server * 1000:.0f}; median of {turns}",
            measured={"seconds": mine, "earlier_seconds": others, "turns": turns},
        )


@contextmanager
def _served(build: Build, data_dir: Path) -> Iterator[tuple[Mapping[str, str], int]]:
    """Keep a build's embedded server running; yield the environment, and the server's process."""
    environment = {**build.environment(), "POSITIONSTORE_DATA_DIR": str(data_dir)}
    environment.pop("DATABASE_URL", None)
    _output(build.command("db", "url"), environment)
    try:
        _output(build.command("status"), environment)  # which compiles what is not compiled yet
        pid_file = data_dir / "postgres" / "cluster" / "postmaster.pid"
        yield environment, int(pid_file.read_text(encoding="utf-8").splitlines()[0])
    finally:
        _output(build.command("db", "stop"), environment)


def _both(build: Build, environment: Mapping[str, str], postmaster: int) -> tuple[float, float]:
    """Return the CPU seconds of a ``status``, and those of the server meanwhile."""
    before = _of_children(postmaster)
    client = _cpu(build.command("status"), environment)
    time.sleep(_A_MOMENT)  # until the server has reaped its session
    return client, _of_children(postmaster) - before


def _cpu(command: list[str], environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _output(command, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _of_children(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _output(command: list[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, capture_output=True)


# --- an idle service -----------------------------------------------------------------------------


def _idle(bed: Bed) -> Figure:
    """Return what a service takes that has connected and reconciled, and waits."""
    with bed.fresh_store() as store, _sandbox() as variables:
        code = f"import sys; sys.modules.update(dict.fromkeys({_ABSENT!r}));" + THIS.command()[-1]
        process = subprocess.Popen(
            [*THIS.command()[:-1], code, "run"],
            env={
                **THIS.environment(),
                **variables,
                "DATABASE_URL": store.url,
                "POSITIONSTORE_DATA_DIR": str(bed.folder / "idle"),
                "POSITIONSTORE_LISTEN": "127.0.0.1:0",
                "POSITIONSTORE_LOG_FORMAT": "json",
            },
            stderr=subprocess.PIPE,
        )
        with ended(process):
            list(_until(process.stderr, lambda line: json.loads(line)["action"] == "reconciled"))
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    resident = int(re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1000
    say(f"An idle run: {resident:.0f} MB")
    return Figure(
        name="idle",
        title="Resident memory of an idle run",
        value=resident,
        unit=" MB",
        below=MOST_MEGABYTES,
        said="after its first reconciliation",
        measured={"megabytes": resident},
    )


@contextmanager
def _sandbox() -> Iterator[dict[str, str]]:
    """Run a sandbox in which next to nothing happens; yield the variables of a client."""
    options = ("--rate", "0.001", "--positions", "10")
    process = subprocess.Popen(
        THIS.command("sandbox", *options), env=THIS.environment(), stdout=subprocess.PIPE
    )
    with ended(process):
        lines = _until(process.stdout, lambda line: "DIMES_API_KEY=" in line)
        exports = (line.removeprefix("export ") for line in lines if line.startswith("export "))
        yield dict(line.strip().split("=", 1) for line in exports)


def _until(stream: IO[bytes] | None, is_last: Callable[[str], bool]) -> Iterator[str]:
    """Yield the lines of a process, up to one."""
    for raw in stream or ():
        yield (line := raw.decode())
        if is_last(line):
            return
    raise RuntimeError("a process ended early")
