"""The checkout of a script: its Python and its package, whatever Python starts the script."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def enter() -> None:
    """Go on with the checkout's Python, which has what the package needs, if there is one.

    So a crontab and a runbook need name nothing but the script.
    """
    python = ROOT / ".venv" / "bin" / "python"
    if Path(sys.prefix) != python.parent.parent and python.exists():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606 - the arguments are this process's own
    sys.path.insert(0, str(ROOT))


def commit() -> tuple[str, bool]:
    """Return the commit that is checked out, and whether the files are other than its own.

    The name is empty where this is no git checkout.
    """
    try:
        return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return "", True


def _git(*arguments: str) -> str:
    asked = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return done.stdout.strip()
