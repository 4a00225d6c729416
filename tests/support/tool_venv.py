"""Analysts' tools whose dependencies clash with ours, each set in an environment of its own.

It is made once a checkout, in ``.venv-tools``, from the registry that uv or pip is set up with.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

_FOLDER: Final = Path(__file__).resolve().parents[2] / ".venv-tools"
_PATIENCE: Final = 400


def tool_venv(name: str, requirements: Sequence[str]) -> Path:
    """Return the folder of the programs of an environment that has these packages, pinned.

    The test is skipped where they cannot be had.
    """
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:8]
    venv = _FOLDER / f"{name}-{digest}"
    stamp = venv / ".made"
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / f"{venv.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            shutil.rmtree(venv, ignore_errors=True)
            for command in _steps(venv, requirements):
                done = _run(command)
                if done.returncode:
                    said = (done.stderr or done.stdout).strip().rpartition("\n")[2]
                    pytest.skip(f"{name} cannot be installed here: {said}")
            stamp.touch()
    return venv / "bin"


def _steps(venv: Path, requirements: Sequence[str]) -> Iterator[list[str]]:
    """Yield what makes it: by uv where it is, as in scripts/setup; pip takes half a minute."""
    python, own = getattr(sys, "_base_executable", sys.executable), str(venv / "bin" / "python")
    if uv := shutil.which("uv"):
        yield [uv, "venv", "--quiet", "--python", python, str(venv)]
        yield [uv, "pip", "install", "--quiet", "--python", own, *requirements]
    else:
        yield [python, "-m", "venv", str(venv)]
        yield [own, "-m", "pip", "-qq", "--no-input", "install", *requirements]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_PATIENCE,
        env={name: value for name, value in os.environ.items() if name not in ours},
    )  # fmt: skip
