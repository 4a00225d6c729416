"""Imports standard input into ``DATABASE_URL``; prints how much memory that took at most.

A separate process, so that only its memory is counted.
"""

import json
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from positionstore.importer.files import import_files
from positionstore.importer.reader import STANDARD_INPUT
from positionstore.store.database import Store


def peak_bytes() -> int:
    """Return the peak of this process's resident memory."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux lets ru_maxrss begin at the size of the process that started this one.
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    result = import_files(
        [STANDARD_INPUT],
        Store(os.environ["DATABASE_URL"], embedded=True).connect,
        now=datetime.now(UTC),
        batch_size=int(sys.argv[1]),
    )
    print(json.dumps({"read": result.read, "peak_bytes": peak_bytes()}))
