"""``positionstore export``, as a process."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.factories import event
from support.fork_server import completed_in_bytes
from support.programs import POSITIONSTORE
from support.waiting import DEADLINE

from positionstore.store import database
from positionstore.store.appender import Appender

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    with closing(database.connect(store_url)) as connection:
        Appender(connection).append([event("evt_1"), event("evt_2", at=1)])

    def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[bytes]:
        done = completed_in_bytes(
            ["export", *arguments],
            environment={
                "DATABASE_URL": store_url,
                "POSITIONSTORE_DATA_DIR": str(tmp_path / "data"),
            },
            folder=tmp_path,
            within=DEADLINE,
        )
        assert done.returncode == expect, done
        assert b"Traceback" not in done.stderr
        return done

    return run


def test_rows_go_to_standard_output_and_the_summary_does_not(run: Run, tmp_path: Path) -> None:
    text = run("events", "--json", "--format", "jsonl")
    binary = run("events", "--format", "parquet")

    assert [json.loads(line)["event_id"] for line in text.stdout.splitlines()] == ["evt_1", "evt_2"]
    told = json.loads(text.stderr)
    assert (told["rows"], told["last_seq"], told["out"], told["since"]) == (2, 2, "-", None)
    assert b"The last seq is 2: go on with --since 2." in binary.stderr
    (tmp_path / "piped.parquet").write_bytes(binary.stdout)
    assert pq.read_table(tmp_path / "piped.parquet").num_rows == 2


def test_the_summary_of_a_file_is_on_standard_output(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("events", "--out", "e.parquet", "--since", "1", "--json").stdout)

    size = (tmp_path / "e.parquet").stat().st_size
    assert told == {
        "what": "events",
        "format": "parquet",
        "out": "e.parquet",
        "rows": 1,
        "files": 1,
        "bytes": size,
        "since": 1,
        "last_seq": 2,
        "archives": 0,
    }


def test_slips_are_one_line_with_a_remedy(run: Run) -> None:
    slips = {
        ("nothing",): b"There are: archived_positions, archives, backfill",
        (): b"positionstore export positions",
        ("events", "--sql", "SELECT 1"): b"Either a table or view",
        ("--sql", "SELECT 1", "--since", "1"): b"--since and --resume go with events",
        ("positions", "--since", "1"): b"--since and --resume go with events",
        ("events", "--out", "events.txt"): b"Add --format: parquet, csv, jsonl, iceberg.",
        ("events", "--partition-by", "day"): b"Add --out FOLDER.",
        ("events", "--resume"): b"Add --out FOLDER.",
        ("positions", "--resume", "--out", "lake", "--format", "csv"): b"go with events",
        ("events", "--resume", "--since", "1"): b"Either --since says where to begin",
        ("positions", "--format", "iceberg"): b"Add --out FOLDER.",
        ("--sql", "SELECT 1", "--format", "iceberg", "--out", "x"): b"is for a table or view",
        ("events", "--compact", "--format", "csv"): b"--compact goes with --resume",
        ("events", "--csv-bom", "--format", "jsonl"): b"are for CSV, not for jsonl",
        ("events", "--out", "no/such/place.csv"): b"Give --out another place.",
        ("events", "--since", "3"): b"The log ends at seq 2",
    }
    for arguments, words in slips.items():
        said = run(*arguments, expect=2).stderr
        assert words in said
        assert said.count(b"\n") == 1


def test_a_reader_that_goes_early_causes_no_noise(store_url: str, tmp_path: Path) -> None:
    endless = "SELECT generate_series(1, 1000000000) AS n"
    done = subprocess.run(
        [
            "bash",
            "-c",
            '"$@" | head -n 1',
            "_",
            sys.executable,
            *POSITIONSTORE,
            *("export", "--sql", endless),
        ],
        env={"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(tmp_path), "PATH": "/bin"},
        capture_output=True,
        check=True,
        timeout=120,
    )

    assert (done.stdout, done.stderr) == (b"n\n", b"")


def test_without_the_extra_parquet_names_the_remedy_and_csv_works(
    store_url: str, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('pyarrow', 'adbc_driver_manager')))\n"
        "from positionstore.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for form, expected in (("parquet", 2), ("csv", 0)):
        done = subprocess.run(
            [sys.executable, "-c", code, "export", "events", "--out", f"e.{form}"],
            env={"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=tmp_path,
        )
        assert done.returncode == expected, done
        assert ("pip install 'positionstore[arrow]'" in done.stderr) is (form == "parquet")
