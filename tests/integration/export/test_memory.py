"""Memory stays flat: ten times the rows take no more of it."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
sys.path.insert(0, "scripts")
from benchmark.import_stdin import peak_bytes
from positionstore.cli import main
code = main(sys.argv[1:])
print(peak_bytes())
sys.exit(code)
"""
ROOT = Path(__file__).resolve().parents[3]


def peak(store_url: str, folder: Path, form: str, rows: int) -> int:
    """Return the peak of resident memory of an export of rows of 2 kB each, in bytes."""
    query = f"SELECT generate_series(1, {rows}) AS n, repeat('0123456789', 200) AS x"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "export", "--sql", query, "--out", folder / f"out.{form}"],
        env={"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
        cwd=ROOT,
    )
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_ten_times_the_rows_take_no_more_memory(store_url: str, tmp_path: Path, form: str) -> None:
    few = peak(store_url, tmp_path, form, 20_000)
    many = peak(store_url, tmp_path, form, 200_000)

    print(f"{form}: {few} bytes for 20,000 rows, {many} bytes for 200,000")
    assert many < few * 1.3
