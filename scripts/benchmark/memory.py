"""Peak memory of an import: of many lines against that of few."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from benchmark.bed import Bed
from benchmark.importing import BATCH_SIZE
from benchmark.report import Figure, say
from benchmark.scale import Scale
from benchmark.workload import envelopes

CEILING: Final = 1.2

_SCRIPT: Final = Path(__file__).with_name("import_stdin.py")
_MIB: Final = 1024 * 1024


def measure(bed: Bed, scale: Scale) -> Figure:
    """Import few lines and many, each in a process of its own that reads a pipe."""
    few = _peak(bed, scale.few_lines, scale)
    many = _peak(bed, scale.many_lines, scale)
    return Figure(
        name="memory",
        title="Peak memory, many lines over few",
        value=many / few,
        below=CEILING,
        said=(
            f"{many / _MIB:.0f} MiB for {scale.many_lines:,} lines, "
            f"{few / _MIB:.0f} MiB for {scale.few_lines:,}"
        ),
        measured={
            "few_lines": scale.few_lines,
            "few_bytes": few,
            "many_lines": scale.many_lines,
            "many_bytes": many,
        },
    )


def _peak(bed: Bed, lines: int, scale: Scale) -> int:
    """Import that many lines; return the importing process's peak of resident memory, bytes."""
    with bed.fresh_store() as store:
        process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), str(BATCH_SIZE)],
            env={**os.environ, "DATABASE_URL": store.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            # Where it has ended too early, its exit code says so.
            with suppress(BrokenPipeError), process.stdin as pipe:  # type: ignore[union-attr]
                for number, envelope in enumerate(
                    islice(envelopes(lines, scale.positions), lines), start=1
                ):
                    pipe.write(envelope + b"\n")
                    if number % 100_000 == 0:
                        say(f"Memory: {number:,} of {lines:,} lines sent")
            output = process.stdout.read() if process.stdout else b""
            if process.wait() != 0:
                raise RuntimeError(f"the import ended with code {process.returncode}")
        finally:
            process.kill()
            process.wait()
    said = json.loads(output)
    if said["read"] != lines:
        raise AssertionError(f"not everything was imported: {said}")
    say(f"Import of {lines:,} lines: {said['peak_bytes'] / _MIB:.0f} MiB at most")
    return int(said["peak_bytes"])
