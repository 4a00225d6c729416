"""``scripts/fuzz.py``, as far as it goes without atheris."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from support.wire_noise import VALID

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", ["decoder", "page", "import"])
def test_an_input_is_replayed(tmp_path: Path, target: str) -> None:
    path = tmp_path / "found"
    path.write_bytes(VALID + b"\n\xff{")

    done = fuzz("--target", target, "--replay", str(path))

    assert (done.returncode, done.stdout) == (0, "All that was promised holds.\n"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replay", "x"], "--replay wants to know the --target.\n"),
        (["--replay", "/no/x", "--target", "page"], "/no/x cannot be read: No such file or"),
        (["--target", "moon"], "invalid choice: 'moon'"),
    ],
)
def test_what_it_cannot_do_is_one_line(arguments: list[str], said: str) -> None:
    done = fuzz(*arguments)

    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("atheris") is not None, reason="atheris is installed")
def test_without_atheris_it_says_how_to_have_it() -> None:
    done = fuzz("--seconds", "1")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install --group fuzz" in done.stderr
