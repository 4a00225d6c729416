#!/usr/bin/env python3
"""How fast a lake is fed and folded, beside `rebuild` of the same store.

    scripts/lakes.py                            a million facts of a hundred thousand positions
    scripts/lakes.py --facts 10000000           ten times that; 30 GB of the temporary folder
    scripts/lakes.py --spark local[1] --spark local[2]
                                                also Spark: the masters to fold on
    scripts/lakes.py --json                     for programs

CPU time is that of all processes that take part, which other work on the machine changes less than
it changes seconds. docs/lake.md has what came out.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
from benchmark import big_store
from benchmark.bed import Bed
from benchmark.report import say

from positionstore.lake.feed import feed
from positionstore.lake.lake import Lake
from positionstore.lake.names import EngineName
from positionstore.store import database, projection
from positionstore.store.database import Store

Figures = dict[str, float | int | str]
_PROGRAM = "import sys; from positionstore.cli import main; sys.exit(main())"
_MIB = 1024 * 1024


def main() -> int:
    """Fill a store, rebuild it, feed a lake with it, fold and verify that."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found: list[Figures] = []
    with Bed.made() as bed, bed.fresh_store() as store:
        with database.connect(store.url) as connection:
            connection.autocommit = True
            big_store.fill(connection, options.facts, say=say)
            facts = connection.execute("SELECT count(*) FROM events").fetchall()[0][0]
            server = _postmaster(connection.info.backend_pid)
        bed.settle()
        place = bed.folder / "lake"

        def note(what: str, work: Callable[[], Figures]) -> None:
            began = time.monotonic()
            figures = work()
            figures = {
                "what": what,
                "facts": facts,
                "seconds": round(time.monotonic() - began, 1),
                "load": round(os.getloadavg()[0], 1),
                **figures,
            }
            say(json.dumps(figures))
            found.append(figures)

        note("rebuild", lambda: _in_here(server, lambda: _rebuild(store)))
        note("feed", lambda: _in_here(server, lambda: feed(store, place)))
        size = sum(path.stat().st_size for path in place.rglob("*.parquet"))
        say(f"The lake has {len(Lake(place).files())} files, {size / 1e6:,.0f} MB")
        engines = [(EngineName.DUCKDB, ""), *((EngineName.SPARK, each) for each in options.spark)]
        for engine, master in engines:
            how = ["--engine", engine, *(["--spark-master", master] if master else [])]
            note(
                f"fold {engine} {master}".strip(),
                partial(
                    _apart,
                    bed.folder,
                    store,
                    ["lake", "positions", place, "--out", "p.parquet", *how],
                ),
            )
            note(
                f"verify {engine} {master}".strip(),
                partial(_apart, bed.folder, store, ["verify", "--lake", place, *how]),
            )
    if options.json:
        print(json.dumps(found))
    return 0


def _rebuild(store: Store) -> None:
    with store.connect() as connection:
        projection.rebuild(connection, another=store.connect)


def _in_here(server: psutil.Process, work: Callable[[], object]) -> Figures:
    """Work in this process and in PostgreSQL; return the CPU time of both."""
    ours, theirs, others = time.process_time(), _cpu(server), set(server.children())
    work()
    ours = time.process_time() - ours
    # The server knows what a session took when it has ended.
    psutil.wait_procs(set(server.children()) - others, timeout=60)
    return {
        "cpu_seconds": round(ours, 1),
        "server_cpu_seconds": round(_cpu(server) - theirs, 1),
    }


def _apart(folder: Path, store: Store, arguments: Sequence[object]) -> Figures:
    """Work in a process of its own; return its CPU time and its memory, with all descendants."""
    process = psutil.Popen(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": store.url, "POSITIONSTORE_DATA_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    spent: dict[int, float] = {}
    most = 0
    while process.poll() is None:
        memory = 0
        try:
            for each in (process, *process.children(recursive=True)):
                times = each.cpu_times()
                spent[each.pid] = times.user + times.system
                memory += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        most = max(most, memory)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return {"cpu_seconds": round(sum(spent.values()), 1), "peak_mib": round(most / _MIB)}


def _postmaster(backend: int) -> psutil.Process:
    parent = psutil.Process(backend).parent()
    if parent is None:
        raise SystemExit("The server is not on this machine.")
    return parent


def _cpu(server: psutil.Process) -> float:
    own = server.cpu_times()
    total = own.children_user + own.children_system
    for each in server.children():
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return float(total)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--facts", type=int, default=1_000_000, help="how many; ten a position")
    parser.add_argument(
        "--spark", metavar="MASTER", action="append", default=[], help="also fold by Spark there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in the end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
