"""The scripts of a runbook and a crontab: thin, and started by any Python, from anywhere."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.programs import ROOT, Programs

from positionstore.sandbox import Options, Sandbox

SCRIPTS = ROOT / "scripts"


@pytest.mark.parametrize("name", ["backfill.py", "nightly_reconcile.py"])
def test_a_script_has_a_help_of_its_own(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [SCRIPTS / name, "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "100"},
    )

    assert done.returncode == 0, done
    assert f"Usage: {name} [OPTIONS]" in done.stdout
    assert "exit code" in done.stdout


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no other Python")
def test_a_script_goes_on_with_the_checkout_s_python(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists() or shutil.which("env") is None:
        pytest.skip("the checkout has no environment of its own")
    done = subprocess.run(
        ["/usr/bin/python3", SCRIPTS / "backfill.py", "--since", "soon"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("positionstore: --since soon is no moment.")


async def test_the_script_backfills(programs: Programs) -> None:
    options = Options(seed=7, ticking=False, positions=20, warm_up=60.0, api_key_lists=True)
    async with Sandbox(options) as sandbox:
        programs.against(sandbox)
        done = await programs.run(str(SCRIPTS / "backfill.py"), "--all", "--json")

    assert done.json["repaired"] == done.json["seen"] > 20
