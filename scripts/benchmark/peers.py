"""Well-known peers beside us: eventsourcing's append for the log, python-socketio for the stream.

Both do less. eventsourcing appends events that it is given in order, and projects nothing; the
bare client decodes what comes and forgets it.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from benchmark.bed import Bed
from benchmark.importing import import_workload
from benchmark.processes import Gateway, ended
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.stream import burst
from benchmark.workload import Workload

EVENTSOURCING: Final = ("eventsourcing[postgres]==9.5.6", "psycopg[binary]")
_BATCH: Final = 500
_HERE: Final = Path(__file__).parent


def measure(bed: Bed, workload: Workload, scale: Scale) -> list[Figure]:
    """Measure each peer and ourselves in turns; what counts is the best of each."""
    python = _environment(bed.folder / "eventsourcing")
    ours: list[float] = []
    theirs: list[float] = []
    received: list[float] = []
    bare: list[float] = []
    for number in range(1, scale.rounds + 1):
        with bed.fresh_store() as store:
            bed.settle()
            ours.append(workload.events / import_workload(store, workload))
        theirs += [_append(bed, workload, python, functions) for functions in ("off", "on")]
        received.append(burst(bed, workload, scale.burst_lines, durability="batch").kept)
        bare.append(_receive(workload, scale.burst_lines))
        say(
            f"Peers, round {number}: import {ours[-1]:,.0f} events/s, eventsourcing "
            f"{max(theirs[-2:]):,.0f}; received {received[-1]:,.0f}, bare client {bare[-1]:,.0f}"
        )

    def compared(name: str, title: str, mine: float, peer: float, said: str) -> Figure:
        return Figure(
            name=name,
            title=title,
            value=mine / peer,
            at_least=1.0,
            said=f"{said.format(mine, peer)}; best of {scale.rounds}",
            measured={"events_per_second": mine, "peer_events_per_second": peer},
        )

    return [
        compared(
            "peer_log",
            "Import, of the speed of eventsourcing's append",
            max(ours),
            max(theirs),
            f"{{:,.0f}} events/s against {{:,.0f}} in batches of {_BATCH}",
        ),
        compared(
            "peer_stream",
            "Receiving a burst, of the speed of python-socketio's client",
            max(received),
            max(bare),
            f"{scale.burst_lines:,} sent; {{:,.0f}} events/s against {{:,.0f}}",
        ),
    ]


def _environment(folder: Path) -> Path:
    """Return the Python of an environment of its own that has eventsourcing."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*pip, "install", *EVENTSOURCING], capture_output=True, check=False, text=True
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(f"pip: {said[-1] if said else done.returncode}")
    return python


def _append(bed: Bed, workload: Workload, python: Path, functions: str) -> float:
    with bed.fresh_database() as url:
        bed.settle()
        script = str(_HERE / "peer_eventsourcing.py")
        done = subprocess.run(
            [str(python), script, str(workload.path), str(_BATCH), functions],
            input=url,
            capture_output=True,
            check=False,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"eventsourcing: {done.stderr.strip().rpartition(chr(10))[2]}")
    said = json.loads(done.stdout)
    if said["events"] != workload.events:
        raise RuntimeError(f"eventsourcing appended {said['events']:,} events")
    return workload.events / float(said["seconds"])


def _receive(workload: Workload, lines: int) -> float:
    with Gateway.started() as gateway:
        gateway.do("load", path=str(workload.path), count=lines)
        gateway.hear("loaded")
        client = subprocess.Popen(
            [sys.executable, str(_HERE / "peer_socketio.py"), gateway.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with ended(client):
            gateway.hear("connection", of=client)
            gateway.do("burst")
            seconds = float(gateway.hear("answered")["seconds"])
            told = client.communicate(timeout=60)[0]
    if int(told) != lines:
        raise RuntimeError(f"python-socketio received {int(told):,} events")
    return lines / seconds
