#!/usr/bin/env python3
"""Draws the pictures of docs/export.md again, from a world that is the same each time.

scripts/pictures.py [FOLDER]    into docs/examples, or into a folder

The world is imported into the store that DATABASE_URL names, which has to be an empty one, or into
one that is made and deleted.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import checkout

checkout.enter()

from positionstore.sandbox import history  # noqa: E402 - the checkout's package comes first

EXAMPLES = checkout.ROOT / "docs" / "examples"
POSITIONSTORE = "import sys; from positionstore.cli import main; sys.exit(main())"


def main() -> int:
    """Make the world, and draw it."""
    out = sys.argv[1] if len(sys.argv) > 1 else str(EXAMPLES)
    with tempfile.TemporaryDirectory(prefix="positionstore-pictures-") as folder:
        path = Path(folder) / "events.jsonl"
        with path.open("wb") as file:
            # Half a week: an event every 100 seconds, some twice, all a little out of order.
            world = history(
                events=3000, seed=11, positions=70, rate=0.01, duplicates=0.02, shuffle_within=60
            )
            file.writelines(envelope + b"\n" for envelope in world)
        environment = os.environ | {"POSITIONSTORE_DATA_DIR": folder}
        for command in (
            ("-c", POSITIONSTORE, "import", str(path)),
            (str(EXAMPLES / "book.py"), out),
        ):
            subprocess.run([sys.executable, *command], env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
